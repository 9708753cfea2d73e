"""A data set that ``load_dataset`` reads, on the Hub or in a local folder: opened, named, and at which commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import DataError, RemoteError
from builders.sources.parquet_splits import local_splits
from builders.untrusted import check_data_set, client_message, from_hub


@dataclass(frozen=True)
class DatasetRepo:
    """Where a data set is."""

    location: str
    """``org/name`` on the Hub, or the path of a local folder."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; by default its main branch."""

    @classmethod
    def parse(cls, text: str) -> DatasetRepo:
        """``REPO[@REVISION]``, or a folder, whose path may hold an @.

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
        """As results name it: of a folder its last part, never a full path of this machine."""
        return Path(self.location).resolve().name if self.local else self.location

    def configs(self, kind: str) -> list[str]:
        """Names of its configurations.

        Args:
            kind: of data, with which an error begins.

        Raises:
            DataError: it cannot be opened.
        """
        import datasets

        check_data_set(self.location, self.revision)
        try:
            with from_hub():
                return list(datasets.get_dataset_config_names(self.location, revision=self.revision))
        except Exception as error:  # the libraries below raise their own trees; one sentence serves the user
            raise self._error(kind, "cannot be opened", error) from None

    def features(self, kind: str, config: str) -> Mapping[str, Any]:
        """Columns of a config, as the data set states them; none where it does not.

        Args:
            kind: of data, with which an error begins.
            config: its name.

        Raises:
            DataError: it cannot be opened.
        """
        import datasets

        check_data_set(self.location, self.revision)
        try:
            builder = datasets.load_dataset_builder(self.location, config, revision=self.revision)
        except Exception as error:  # as above
            raise self._error(kind, f"config {config} cannot be opened", error) from None
        return dict(builder.info.features or {})

    def load(self, kind: str, config: str | None = None, *, in_place: bool = False) -> Any:
        """Its ``datasets.DatasetDict``, by split; or ``ParquetPart`` by split.

        Args:
            kind: of data, with which an error begins.
            config: configuration, where there are several.
            in_place: read Parquet files of a local folder where they lie, without a copy in the cache of ``datasets``.

        Raises:
            DataError: it cannot be loaded.
        """
        import datasets

        check_data_set(self.location, self.revision)
        try:
            if in_place and Path(self.location).is_dir():
                found = local_splits(self.location, config)
                if found is not None:
                    return found
            with from_hub():
                return datasets.load_dataset(self.location, name=config, revision=self.revision)
        except Exception as error:  # as above
            what = f"config {config} cannot be loaded" if config else "cannot be loaded"
            raise self._error(kind, what, error) from None

    def resolved_revision(self) -> str:
        """The commit behind the revision, so that a result can be repeated; the name itself where nobody answers."""
        if self.local:
            return "local"
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError

        try:
            with from_hub():
                return str(huggingface_hub.HfApi().dataset_info(self.location, revision=self.revision).sha)
        except (HfHubHTTPError, OSError, RemoteError):
            return f"{self.revision or 'main'} (commit unknown: the Hub did not answer)"

    def _error(self, kind: str, what: str, error: Exception) -> DataError:
        return DataError(f"{kind}:{self.location}: {what} ({client_message(error)})")
