"""Settings of every process: environment variables ``GROUPCLAIM_*`` over ``groupclaim.toml``."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


class Settings(BaseSettings):
    """One value each; the defaults are those of ``groupclaim up`` on one machine."""

    model_config = SettingsConfigDict(
        env_prefix="GROUPCLAIM_", toml_file="groupclaim.toml", extra="forbid"
    )

    state: Path = Field(Path("state"), description="folder that holds everything kept")
    database: str = Field(
        "", description="sqlite:///PATH or postgresql://...; empty: groupclaim.db in the folder"
    )
    database_password: Path | None = Field(
        None, description="file with the password of the PostgreSQL role, apart from its address"
    )
    keys: Path | None = Field(None, description="key file; empty: keys.json in the folder")
    temporal: str = Field("127.0.0.1:7233", description="HOST:PORT of the Temporal server")
    namespace: str = Field("default", description="Temporal namespace")
    temporal_api_key: str = Field("", description="API key, as Temporal Cloud wants one")
    temporal_certificate: Path | None = Field(None, description="client certificate (mTLS)")
    temporal_certificate_key: Path | None = Field(None, description="its private key")
    temporal_authority: Path | None = Field(
        None, description="certificate of the authority that the server's is checked against"
    )
    build: str = Field(
        "", description="build id of a versioned worker deployment; empty: not versioned"
    )
    clearinghouse: str = Field("", description="base address of the clearinghouse")
    clearinghouse_token: Path | None = Field(None, description="file with its access token")
    files: str = Field(
        "",
        description="sftp://USER@HOST:PORT that takes batches and holds the mailbox; empty: the "
        "clearinghouse's address does that too",
    )
    files_host_key: Path | None = Field(
        None, description="file with the public keys of which that host must show one"
    )
    files_login: Path | None = Field(
        None, description="file with a private key or a password for that host"
    )
    cards_key: Path | None = Field(
        None, description="file with Stripe's secret key; empty: no card is charged"
    )
    cards: str = Field("https://api.stripe.com", description="base address of the card processor")
    notes: Path | None = Field(None, description="JSON file that holds the progress notes")
    policies: Path | None = Field(
        None, description="folder of policies and imported tables; empty: those of groupclaim"
    )
    letters: Path | None = Field(
        None,
        description="folder from which packets to payers are picked up; empty: they go by hand",
    )
    patient_letters: Path | None = Field(
        None,
        description="folder from which notices to patients are picked up; empty: given by hand",
    )
    production: bool = Field(False, description="false marks every interchange as a test")
    audit_head: Path | None = Field(
        None, description="file that the audit log's head is exported to; keep it elsewhere"
    )
    console: str = Field(
        "http://127.0.0.1:8300",
        description="address of the console as browsers see it; https behind a proxy",
    )
    console_port: int = Field(
        0, ge=0, le=65535, description="port it listens on; 0: that of its address"
    )
    console_proxies: str = Field(
        "",
        description="addresses or networks of the proxy in front, whose X-Forwarded-For is "
        "believed; empty: nobody's",
    )
    webhook_private: bool = Field(
        False, description="tell also systems at addresses inside the practice's own network"
    )
    webhook_days: int = Field(
        30, ge=4, description="days for which what other systems were told is kept"
    )
    codec_port: int = Field(
        8301, ge=1, le=65535, description="port of the codec server, at the console's host"
    )
    temporal_ui: str = Field(
        "http://127.0.0.1:8233",
        description="address of Temporal's UI in browsers: it alone may ask the codec server",
    )
    identity_provider: str = Field("", description="OpenID Connect issuer; empty: passwords")
    identity_client: str = Field("", description="client id there")
    identity_secret: Path | None = Field(None, description="file with the client secret")
    identity_factors: bool = Field(True, description="refuse who signed in with one factor only")
    metrics_host: str = Field("127.0.0.1", description="address that metrics are served at")
    metrics_port: int = Field(0, ge=0, le=65535, description="business metrics; 0: none")
    exporter_port: int = Field(0, ge=0, le=65535, description="the exporter's figures")
    exporter_seconds: float = Field(
        15, gt=0, description="how often the exporter reads the database"
    )
    sdk_metrics_port: int = Field(0, ge=0, le=65535, description="Temporal SDK metrics; 0: none")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def environment(self) -> dict[str, str]:
        """This process's environment, with these settings in it, for a process started from it."""
        given = {
            f"GROUPCLAIM_{name.upper()}": str(value)
            for name, value in self.model_dump(mode="json").items()
            if value not in (None, "")
        }
        return {**os.environ, **given}

    @property
    def database_url(self) -> str:
        if not self.database:
            return f"sqlite:///{(self.state / 'groupclaim.db').resolve()}"
        if self.database_password is None:
            return self.database
        password = quote(self.database_password.read_text().strip(), safe="")
        scheme, _, rest = self.database.partition("://")
        user, _, where = rest.rpartition("@")
        return f"{scheme}://{user}:{password}@{where}"

    @property
    def keys_file(self) -> Path:
        return self.keys or self.state / "keys.json"


def is_here(host: str) -> bool:
    """Whether ``host`` is this machine, which needs no encryption on the way."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
