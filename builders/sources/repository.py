"""A data set repository on the Hub, or a local folder of the same form: name, revision, configs, splits and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import CamtraceError, DataError, RemoteError, UsageError
from builders.sources.parquet_splits import local_splits
from builders.sources.remote.hub_shards import HubSplit, hub_splits
from builders.untrusted import (
    MAX_CONFIG_BYTES,
    check_data_set,
    client_message,
    first_line,
    from_hub,
    read_untrusted_text,
)


@dataclass(frozen=True)
class DatasetRepo:
    """A data set on the Hub or in a local folder. Nothing is read before a method is called.

    Its files are untrusted: every method that opens it checks first that its card names only files inside it.
    """

    location: str
    """``org/name`` on the Hub, or the path of a local folder."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; by default its main branch."""

    @classmethod
    def parse(cls, text: str) -> DatasetRepo:
        """``REPO[@REVISION]``, or a folder, whose path may contain an @.

        >>> DatasetRepo.parse("org/name@main")
        DatasetRepo(location='org/name', revision='main')
        """
        if Path(text).exists():
            return cls(text)
        location, _, revision = text.partition("@")
        return cls(location, revision or None)

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine."""
        return Path(self.location).exists()

    @property
    def name(self) -> str:
        """Its name in results: the last part of a folder's path, never the full path; otherwise ``org/name``."""
        return Path(self.location).resolve().name if self.local else self.location

    def configs(self, where: str) -> list[str]:
        """Names of its configurations.

        Args:
            where: the beginning of an error message.

        Raises:
            DataError: it cannot be opened.
        """
        import datasets

        check_data_set(self.location, self.revision)
        try:
            with from_hub():
                return list(datasets.get_dataset_config_names(self.location, revision=self.revision))
        except Exception as error:  # the libraries below raise their own trees; one sentence serves the user
            raise DataError(f"{where}: cannot be opened ({client_message(error)})") from None

    def features(self, where: str, config: str) -> Mapping[str, Any]:
        """Columns of a config as the data set declares them; empty if it does not.

        Args:
            where: the beginning of an error message.
            config: its name.

        Raises:
            DataError: it cannot be opened.
        """
        import datasets

        check_data_set(self.location, self.revision)
        try:
            with from_hub():
                builder = datasets.load_dataset_builder(self.location, config, revision=self.revision)
        except Exception as error:  # as above
            raise DataError(f"{where}: config {config} cannot be opened ({client_message(error)})") from None
        return dict(builder.info.features or {})

    def load(self, where: str, config: str | None = None, *, unknown_config_is_usage: bool = False) -> Any:
        """Its splits by name: a ``datasets.DatasetDict``, or a mapping of ``ParquetPart``.

        Parquet files of a local folder are read where they are, without a copy in the cache of ``datasets``.

        Args:
            where: the beginning of an error message.
            config: configuration, where there are several.
            unknown_config_is_usage: raise ``UsageError`` if the data set has no such config.

        Raises:
            DataError: it cannot be loaded.
            UsageError: it has no such config, with ``unknown_config_is_usage``.
        """
        import datasets

        check_data_set(self.location, self.revision)
        try:
            if Path(self.location).is_dir():
                splits = local_splits(self.location, config)
                if splits is not None:
                    return splits
            with from_hub():
                return datasets.load_dataset(self.location, name=config, revision=self.revision)
        except Exception as error:  # as above
            if unknown_config_is_usage and type(error) is ValueError:  # datasets raises it for an unknown config
                raise UsageError(f"{where}: {first_line(error)}") from None
            subject = f"config {config} " if config and not unknown_config_is_usage else ""
            reason = client_message(error)
            if "is not cached in" in reason:  # of ``datasets`` offline; its folder is None
                reason = "the Hub cannot be reached, and the data set is not in the local cache"
            raise DataError(f"{where}: {subject}cannot be loaded ({reason})") from None

    def splits_on_hub(self, where: str, config: str | None) -> tuple[dict[str, HubSplit], str]:
        """Its splits by name, of which nothing is read, and the commit that they are of.

        Args:
            where: the beginning of an error message.
            config: configuration, where there are several.

        Raises:
            DataError: it cannot be opened.
            UsageError: its data are not Parquet files.
        """
        import datasets
        import huggingface_hub

        check_data_set(self.location, self.revision)
        try:
            with from_hub():
                commit = str(huggingface_hub.HfApi().dataset_info(self.location, revision=self.revision).sha)
                builder = datasets.load_dataset_builder(self.location, config, revision=commit)
                return hub_splits(builder, self.location, commit), commit
        except CamtraceError:
            raise
        except Exception as error:  # as above
            raise DataError(f"{where}: cannot be opened ({client_message(error)})") from None

    def text(self, name: str) -> str | None:
        """One small text file of the repository; None if it has no such file.

        Raises:
            DataError: the location is neither a folder nor a repository that can be read, or the file is too large or
                no text.
        """
        if Path(self.location).is_dir():
            path = Path(self.location) / name
            return read_untrusted_text(path) if path.is_file() else None
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

        try:
            with from_hub(MAX_CONFIG_BYTES):
                path = Path(hf_hub_download(self.location, name, repo_type="dataset", revision=self.revision))
                return read_untrusted_text(path)
        except EntryNotFoundError:
            return None
        except (HfHubHTTPError, OSError, ValueError) as error:
            reason = client_message(error)[:300]
            raise DataError(f"{self.location}: neither a folder nor a data set that can be read ({reason})") from None

    def download(self) -> Path:
        """The folder that holds all its files: the local folder, or a download from the Hub.

        Raises:
            UsageError: the location is neither a folder nor a repository name.
            DataError: it cannot be downloaded.
        """
        if Path(self.location).is_dir():
            return Path(self.location)
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        try:
            with from_hub():
                folder = huggingface_hub.snapshot_download(self.location, repo_type="dataset", revision=self.revision)
                return Path(folder)
        except HFValidationError:
            raise UsageError(f"{self}: neither a folder here nor a repository name") from None
        except (HfHubHTTPError, OSError) as error:
            raise DataError(f"{self}: cannot be downloaded from the Hub ({client_message(error)})") from None

    def resolved_revision(self) -> str:
        """The commit of the revision, so that a result can be repeated; the revision with a note if the Hub is down."""
        if self.local:
            return "local"
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError

        try:
            with from_hub():
                return str(huggingface_hub.HfApi().dataset_info(self.location, revision=self.revision).sha)
        except (HfHubHTTPError, OSError, RemoteError):
            return f"{self.revision or 'main'} (commit unknown: the Hub did not answer)"

    def __str__(self) -> str:
        return f"{self.location}@{self.revision}" if self.revision else self.location
