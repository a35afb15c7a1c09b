"""Find the URL, the token and the keys: in variables, or in SSM parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

from llm_cache._config.cache_config import TOKEN, URL, CacheConfig
from llm_cache._doctor.finding import Finding, State
from llm_cache._doctor.located import Located
from llm_cache._doctor.ssm import Parameters, check_boto3, shown_name


class Secrets(NamedTuple):
    """The secrets of a cache, each with its place."""

    url: Located
    token: Located
    keys: Located

    @property
    def hidden(self) -> list[str]:
        """The texts that no finding may show: the token, the keys, the user part of the URL."""
        user, at, _ = (self.url.value or "").rpartition("//")[2].rpartition("@")
        shown = [user, user.rpartition(":")[2]] if at else []
        return shown + (self.token.value or "").split() + (self.keys.value or "").split()


def find_secrets(config: CacheConfig, session: Any = None) -> tuple[list[Finding], Secrets]:
    """Return the secrets that the configuration names, and the findings of SSM.

    One request for each parameter; ``session`` is boto3's, by default the one of the environment.
    """
    variable, keys, keys_parameter = config.protection_key
    parameters = [config.url_parameter, config.token_parameter, keys_parameter]
    names = list(dict.fromkeys(name for name in parameters if name))
    findings, values = _read(names, session)

    def locate(variable: str, value: str | None, parameter: str | None, missing: str) -> Located:
        if not parameter:
            return Located(variable, value, missing)
        shown = shown_name(parameter)
        rotate = "" if parameter == keys_parameter else "llm-cache rotate --stack NAME, or "
        remedy = (
            f"store it in SSM: {rotate}aws ssm put-parameter --type SecureString "
            f"--overwrite --name {shown} --value …"
        )
        return Located(f"SSM parameter {shown}", values.get(parameter), remedy, in_ssm=True)

    return findings, Secrets(
        locate(URL, config.url, config.url_parameter, f"export {URL}=https://<name>.upstash.io"),
        locate(TOKEN, config.token, config.token_parameter, f"export {TOKEN}=<the REST token>"),
        locate(
            variable, keys, keys_parameter, f"export {variable}=<key> (openssl rand -base64 32)"
        ),
    )


def _read(names: list[str], session: Any) -> tuple[list[Finding], dict[str, str]]:
    if not names:
        return [], {}
    findings, values = [check_boto3()], dict[str, str]()
    if findings[0].state is State.FAILED:
        return findings, {}
    parameters = Parameters(session)
    for name in names:
        finding, value = parameters.check(name)
        findings.append(finding)
        if value is not None:
            values[name] = value
    return findings, values
