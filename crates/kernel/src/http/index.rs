//! The index of patterns: a tree by segments from the left, and behind a `{many...}` one by
//! segments from the right.
//!
//! A lookup takes as many steps as the path has segments that a pattern names, however many
//! patterns there are, and allocates nothing. At each step a literal is tried before a parameter,
//! and a parameter before `{many...}`; a way that leads nowhere is gone back.

use std::ops::Range;

use super::params::ParamSpans;
use super::pattern::{MOST_PARAMS, Pattern, Segment};

#[derive(Debug, Clone, Default)]
struct Node {
    /// Sorted.
    literals: Vec<(&'static str, usize)>,
    one: Option<usize>,
    /// The root of the tree from the right.
    many: Option<usize>,
    /// The pattern that ends here; in a tree from the right, what is left is its `{many...}`.
    end: Option<usize>,
}

impl Node {
    fn literal(&self, segment: &str) -> Option<usize> {
        let found = self
            .literals
            .binary_search_by(|(literal, _)| (*literal).cmp(segment));
        let (_, child) = self.literals.get(found.ok()?)?;
        Some(*child)
    }
}

/// Patterns by number.
#[derive(Debug, Clone)]
pub(super) struct RouteIndex {
    nodes: Vec<Node>,
    /// The names of each pattern's parameters, in the order in which they are met.
    names: Vec<[&'static str; MOST_PARAMS]>,
}

impl Default for RouteIndex {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            names: Vec::new(),
        }
    }
}

impl RouteIndex {
    /// Adds a pattern, whose number is that of the patterns before it.
    pub(super) fn add(&mut self, pattern: &Pattern) {
        let (before, many, behind) = pattern.split();
        let mut node = self.walk(0, before.iter());
        if many.is_some() {
            let root = self.nodes.get(node).and_then(|node| node.many);
            let root = root.unwrap_or_else(|| {
                let new = self.make();
                if let Some(node) = self.nodes.get_mut(node) {
                    node.many = Some(new);
                }
                new
            });
            node = self.walk(root, behind.iter().rev());
        }
        let param = |segment: &Segment| match segment {
            Segment::One(name) => Some(*name),
            _ => None,
        };
        let ones = before.iter().chain(behind.iter().rev()).filter_map(param);
        let mut names = [""; MOST_PARAMS];
        for (place, name) in names.iter_mut().zip(ones.chain(many)) {
            *place = name;
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.end = Some(self.names.len());
        }
        self.names.push(names);
    }

    fn walk<'s>(&mut self, from: usize, segments: impl Iterator<Item = &'s Segment>) -> usize {
        segments.fold(from, |node, segment| self.child(node, *segment))
    }

    fn child(&mut self, node: usize, segment: Segment) -> usize {
        let known = self.nodes.get(node).and_then(|node| match segment {
            Segment::Literal(literal) => node.literal(literal),
            Segment::One(_) | Segment::Many(_) => node.one,
        });
        if let Some(known) = known {
            return known;
        }
        let new = self.make();
        if let Some(node) = self.nodes.get_mut(node) {
            match segment {
                Segment::Literal(literal) => {
                    node.literals.push((literal, new));
                    node.literals.sort_unstable();
                }
                Segment::One(_) | Segment::Many(_) => node.one = Some(new),
            }
        }
        new
    }

    fn make(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// The number of the most specific pattern that matches `path` (still percent-encoded), and
    /// where its parameters stand.
    pub(super) fn find(&self, path: &str) -> Option<(usize, ParamSpans)> {
        let mut spans = ParamSpans::default();
        let start = path.strip_prefix('/').map(|_| 1);
        let found = self.forward(0, path, Some(start?), &mut spans)?;
        spans.name(self.names.get(found)?);
        Some((found, spans))
    }

    /// Goes on at the segment that begins at `start`; without one, the path has ended.
    fn forward(
        &self,
        node: usize,
        path: &str,
        start: Option<usize>,
        spans: &mut ParamSpans,
    ) -> Option<usize> {
        let node = self.nodes.get(node)?;
        let Some(start) = start else {
            return node.end;
        };
        let rest = path.get(start..)?;
        let (segment, next) = match rest.split_once('/') {
            Some((segment, _)) => (segment, Some(start + segment.len() + 1)),
            None => (rest, None),
        };
        if let Some(child) = node.literal(segment)
            && let Some(found) = self.forward(child, path, next, spans)
        {
            return Some(found);
        }
        if let Some(child) = node.one.filter(|_| !segment.is_empty()) {
            let before = spans.count();
            spans.push(start..start + segment.len());
            if let Some(found) = self.forward(child, path, next, spans) {
                return Some(found);
            }
            spans.truncate(before);
        }
        self.backward(node.many?, path, start..path.len(), spans)
    }

    /// Goes on from the right end of what is left of the path.
    fn backward(
        &self,
        node: usize,
        path: &str,
        left: Range<usize>,
        spans: &mut ParamSpans,
    ) -> Option<usize> {
        let node = self.nodes.get(node)?;
        if let Some((rest, segment)) = path.get(left.clone())?.rsplit_once('/') {
            let next = left.start..left.start + rest.len();
            if let Some(child) = node.literal(segment)
                && let Some(found) = self.backward(child, path, next.clone(), spans)
            {
                return Some(found);
            }
            if let Some(child) = node.one.filter(|_| !segment.is_empty()) {
                let before = spans.count();
                spans.push(next.end + 1..left.end);
                if let Some(found) = self.backward(child, path, next, spans) {
                    return Some(found);
                }
                spans.truncate(before);
            }
        }
        let end = node.end.filter(|_| !left.is_empty())?;
        spans.push(left);
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every pattern of `patterns` that matches, tried one way after the other, with its
    /// parameters.
    fn naive<'p>(pattern: &'static str, path: &'p str) -> Option<Vec<(&'static str, String)>> {
        fn matched(pattern: &[&'static str], path: &[&str]) -> Option<Vec<(&'static str, String)>> {
            let Some((first, rest)) = pattern.split_first() else {
                return path.is_empty().then(Vec::new);
            };
            let Some(param) = first.strip_prefix('{') else {
                let (given, left) = path.split_first()?;
                return (given == first).then(|| matched(rest, left)).flatten();
            };
            let many = param.strip_suffix("...}");
            let most = if many.is_some() { path.len() } else { 1 };
            (1..=most.min(path.len())).find_map(|taken| {
                let (given, left) = path.split_at(taken);
                let given = given.join("/");
                let name = many.or(param.strip_suffix('}'))?;
                let mut params = matched(rest, left)?;
                params.insert(0, (name, given.clone()));
                (!given.is_empty()).then_some(params)
            })
        }
        let segments = |text: &'p str| text.split('/').skip(1).collect::<Vec<_>>();
        matched(
            &pattern.split('/').skip(1).collect::<Vec<_>>(),
            &segments(path),
        )
    }

    fn index(patterns: &[&'static str]) -> RouteIndex {
        let mut index = RouteIndex::default();
        for pattern in patterns {
            index.add(&Pattern::new(pattern).unwrap());
        }
        index
    }

    fn found(index: &RouteIndex, path: &str) -> Option<(usize, Vec<(&'static str, String)>)> {
        let (found, spans) = index.find(path)?;
        let mut params: Vec<_> = spans.iter().collect();
        params.sort_by_key(|(_, span)| span.start);
        let params = params
            .into_iter()
            .map(|(name, span)| (name, path[span].to_owned()));
        Some((found, params.collect()))
    }

    #[test]
    fn the_last_verb_counts() {
        let index = index(&[
            "/v2/{name...}/manifests/{reference}",
            "/v2/{name...}/tags/list",
        ]);
        let (place, params) = found(&index, "/v2/a/blobs/b/manifests/x").unwrap();
        assert_eq!(place, 0);
        assert_eq!(
            params,
            [("name", "a/blobs/b".into()), ("reference", "x".into())]
        );
        let (place, params) = found(&index, "/v2/a/tags/list/tags/list").unwrap();
        assert_eq!((place, params), (1, vec![("name", "a/tags/list".into())]));
    }

    #[test]
    fn a_missing_part_is_no_match() {
        let index = index(&["/v2/{name...}/manifests/{reference}"]);
        for path in [
            "/v2/manifests/x",
            "/v2//manifests/x",
            "/v2/a/manifests/",
            "/v2/a/manifests",
            "",
        ] {
            assert_eq!(found(&index, path), None, "{path}");
        }
    }

    #[test]
    fn a_trailing_slash_is_a_segment_of_its_own() {
        let index = index(&["/v2/{name...}/blobs/uploads/", "/v2/", "/"]);
        assert!(index.find("/v2/a/blobs/uploads/").is_some());
        assert!(index.find("/v2/a/blobs/uploads").is_none());
        assert!(index.find("/v2/").is_some());
        assert!(index.find("/v2").is_none());
        assert!(index.find("/").is_some());
        assert!(index.find("/x").is_none());
    }

    #[test]
    fn parameters_may_stand_on_both_sides_of_a_name_in_the_middle() {
        let index = index(&["/api/{version}/repository/{name...}/tag/{tag}/at/{time}"]);
        let (_, params) = found(&index, "/api/v1/repository/a/tag/b/tag/t/at/7").unwrap();
        let expected = [
            ("version", "v1"),
            ("name", "a/tag/b"),
            ("tag", "t"),
            ("time", "7"),
        ];
        assert_eq!(
            params,
            expected.map(|(name, value)| (name, value.to_owned()))
        );
    }

    /// Patterns over few words, so that many of them meet.
    fn pattern() -> impl Strategy<Value = &'static str> {
        let segment = prop_oneof![
            4 => prop::sample::select(vec!["a", "b", ""]).prop_map(str::to_owned),
            3 => Just("{p}".to_owned()),
            2 => Just("{n...}".to_owned()),
        ];
        prop::collection::vec(segment, 1..5).prop_filter_map("one of each", |segments| {
            let mut many = 0;
            let segments: Vec<String> = segments
                .iter()
                .enumerate()
                .map(|(place, segment)| match segment.as_str() {
                    "{p}" => format!("{{p{place}}}"),
                    other => {
                        many += usize::from(other == "{n...}");
                        other.to_owned()
                    }
                })
                .collect();
            let text = format!("/{}", segments.join("/"));
            (many < 2).then(|| &*Box::leak(text.into_boxed_str()))
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_the_most_specific_pattern_as_a_naive_search_does(
            drawn in prop::collection::vec(pattern(), 1..8),
            paths in prop::collection::vec("(/(a|b|c|)){0,6}", 20),
        ) {
            let mut patterns: Vec<&'static str> = Vec::new();
            for pattern in drawn {
                let new = Pattern::new(pattern).unwrap();
                let conflicts = |old: &'static str| Pattern::new(old).unwrap().conflicts_with(&new);
                if !patterns.iter().any(|old| *old == pattern || conflicts(old)) {
                    patterns.push(pattern);
                }
            }
            let index = index(&patterns);
            for path in &paths {
                let matching: Vec<_> = patterns
                    .iter()
                    .enumerate()
                    .filter_map(|(place, pattern)| Some((place, naive(pattern, path)?)))
                    .collect();
                let found = found(&index, path);
                prop_assert_eq!(found.is_some(), !matching.is_empty(), "{}", path);
                let Some((place, params)) = found else { continue };
                let expected = matching.iter().find(|(other, _)| *other == place);
                prop_assert_eq!(expected.map(|(_, params)| params), Some(&params));
                // Whatever else matches, matches every path of these words that the found one does.
                for (other, _) in &matching {
                    for path in paths.iter().filter(|path| naive(patterns[place], path).is_some()) {
                        prop_assert!(naive(patterns[*other], path).is_some(), "{}", path);
                    }
                }
            }
        }
    }
}
