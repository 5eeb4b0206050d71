//! A form body, decoded as forms are: `+` is a space, escapes are decoded once. Its values may be
//! passwords, so none is shown, and all are erased.

use percent_encoding::percent_decode_str;
use seawall_types::{Error, Reason, Result, Secret};
use zeroize::Zeroizing;

/// More pairs than an honest request has.
const MOST_PAIRS: usize = 256;

/// The pairs of a form.
pub(crate) struct Form(Vec<(String, Secret)>);

impl Form {
    /// Parses a body. Errors: `BadRequest`.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let bad = || Error::new(Reason::BadRequest, "the body is not a form");
        let text = std::str::from_utf8(body).map_err(|_| bad())?;
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MOST_PAIRS {
                return Err(bad());
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(bad)?;
            pairs.push((name.expose().to_owned(), decode(value).ok_or_else(bad)?));
        }
        Ok(Self(pairs))
    }

    /// The value of `name`; an empty one counts as none. Errors: `BadRequest` for one that is given
    /// twice (RFC 6749 §3.2).
    pub(crate) fn get(&self, name: &str) -> Result<Option<&Secret>> {
        let mut values = self
            .0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value);
        let first = values.next();
        if values.next().is_some() {
            let words = format!("{name} is given more than once");
            return Err(Error::new(Reason::BadRequest, words));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// The value of `name`. Errors: `BadRequest` if there is none.
    pub(crate) fn need(&self, name: &str) -> Result<&Secret> {
        let missing = || Error::new(Reason::BadRequest, format!("{name} is missing"));
        self.get(name)?.ok_or_else(missing)
    }

    /// Every value of `name`.
    pub(crate) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f Secret> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

fn decode(text: &str) -> Option<Secret> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    let bytes = Zeroizing::new(percent_decode_str(&spaced).collect::<Vec<u8>>());
    std::str::from_utf8(&bytes).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_anything() {
        let form = Form::parse(b"username=ann&password=a%2Bb+c%26d%3D%C3%A9&x").unwrap();
        assert_eq!(form.need("password").unwrap().expose(), "a+b c&d=é");
        assert!(form.get("x").unwrap().is_none());
        assert!(form.get("y").unwrap().is_none());
    }

    #[test]
    fn what_is_doubtful_is_refused() {
        assert!(Form::parse(b"a=%ff").is_err());
        assert!(Form::parse(b"\xff").is_err());
        assert!(Form::parse("a=1&".repeat(MOST_PAIRS + 1).as_bytes()).is_err());
        let twice = Form::parse(b"password=a&password=b&scope=x&scope=y").unwrap();
        assert!(twice.get("password").is_err());
        assert_eq!(twice.all("scope").count(), 2);
        assert!(twice.need("service").is_err());
    }
}
