"""What the Serverless Application Repository is told, which is what the project says of itself."""

import tomllib

from tests.template.loader import ROOT, load

from llm_cache._version import __version__

TOLD = load()["Metadata"]["AWS::ServerlessRepo::Application"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_it_is_told_the_name_the_licence_the_version_and_the_subjects_of_the_project() -> None:
    assert TOLD["Name"] == PROJECT["name"]
    assert TOLD["SpdxLicenseId"] == PROJECT["license"]
    assert TOLD["SemanticVersion"] == __version__
    assert TOLD["Labels"] == PROJECT["keywords"]


def test_its_files_are_those_of_the_project() -> None:
    assert TOLD["ReadmeUrl"] == PROJECT["readme"]
    assert [TOLD["LicenseUrl"]] == PROJECT["license-files"]
    assert all((ROOT / TOLD[name]).is_file() for name in ("ReadmeUrl", "LicenseUrl"))
