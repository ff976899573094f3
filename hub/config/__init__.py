"""TOML to models: `load` for the hub's own tables, `settings_of` for an instance's section."""

from hub.config.alerts import AlertsSettings
from hub.config.fields import FieldDoc, describe, sample, table
from hub.config.fix import fix
from hub.config.load import TABLES, load, settings_of
from hub.config.model import (
    KINDS,
    AcknowledgeSettings,
    AnswersSettings,
    BrandSettings,
    Config,
    DatabaseSettings,
    EngineSettings,
    HubSettings,
    LogSettings,
    Section,
    SectionOptions,
    Voice,
    WebSettings,
    options_of,
)
from hub.config.problems import ConfigErrors, Problem, did_you_mean

__all__ = [
    "KINDS",
    "TABLES",
    "AcknowledgeSettings",
    "AlertsSettings",
    "AnswersSettings",
    "BrandSettings",
    "Config",
    "ConfigErrors",
    "DatabaseSettings",
    "EngineSettings",
    "FieldDoc",
    "HubSettings",
    "LogSettings",
    "Problem",
    "Section",
    "SectionOptions",
    "Voice",
    "WebSettings",
    "describe",
    "did_you_mean",
    "fix",
    "load",
    "options_of",
    "sample",
    "settings_of",
    "table",
]
