"""python3 -m unittest discover -s e2e"""

import os
import subprocess
import sys
import tempfile
import unittest

import conformance_check as check


def results(mode, **changes):
    """A results.yaml as the program writes it; changes are made by row name."""
    lines = ["config:", "  registry: localhost:5000", "  apis:", "    ping: true"]
    lines += ["  version: %s" % mode, "  commit: unknown"]
    for section, names in (("apis", check.APIS), ("data", check.DATA)):
        lines.append(section + ":")
        for name in names:
            status = "Disabled" if name in check.DISABLED[mode] else "Pass"
            status = changes.get(name.replace(" ", "_"), status)
            if status:
                lines.append("  %s: %s" % (name, status))
    return "\n".join(lines) + "\n"


class Judge(unittest.TestCase):
    def complaints(self, mode, text):
        return check.judge(mode, text)[1]

    def test_there_are_52_rows(self):
        self.assertEqual((len(check.APIS), len(check.DATA)), (28, 24))
        self.assertEqual(len(set(check.ROWS)), 52)

    def test_good_files_pass(self):
        for mode in check.DISABLED:
            table, complaints = check.judge(mode, results(mode))
            self.assertEqual(complaints, [])
            self.assertEqual(len(table), 52)

    def test_a_missing_row_is_bad(self):
        complaints = self.complaints("dev", results("dev", Referrers=None))
        self.assertEqual(complaints, ["apis / Referrers: missing instead of Pass"])

    def test_every_other_status_is_bad(self):
        for status in ("Skip", "FAIL", "Error", "Unknown", "Disabled"):
            complaints = self.complaints("1.1", results("1.1", Blob_post_only=status))
            self.assertEqual(complaints, ["apis / Blob post only: %s instead of Pass" % status])

    def test_what_the_mode_disables_may_not_come_alive_unseen(self):
        complaints = self.complaints("1.1", results("1.1", Tag_Param="Pass"))
        self.assertEqual(complaints, ["data / Tag Param: Pass instead of Disabled"])

    def test_an_unknown_row_is_bad(self):
        text = results("dev") + "  Something New: Pass\n"
        self.assertEqual(len(self.complaints("dev", text)), 1)

    def test_the_wrong_mode_is_bad(self):
        self.assertIn("tested version 'dev' instead of '1.1'", self.complaints("1.1", results("dev")))

    def test_an_empty_file_lacks_everything(self):
        self.assertEqual(len(self.complaints("dev", "")), 53)


class Command(unittest.TestCase):
    def run_on(self, path):
        command = [sys.executable, check.__file__, "dev", path]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    def test_status(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "results.yaml")
            self.assertNotEqual(self.run_on(path).returncode, 0, "no file")
            for text, status in ((results("dev"), 0), (results("dev", Ping="Skip"), 1)):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                self.assertEqual(self.run_on(path).returncode, status)


if __name__ == "__main__":
    unittest.main()
