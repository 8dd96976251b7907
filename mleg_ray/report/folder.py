"""The folder of a report or an analysis: one of the same kind replaces it once it is computed."""

from typing import Annotated, Any, Literal

from pydantic import Field as Option

from mleg_ray.folder import FolderPlan, SealedFolder
from mleg_ray.storage import join, remove_folder

FIGURES = "figures"  # the folder of pictures

Name = Annotated[str, Option(pattern=r"^[^/.][^/]*$")]  # of what lies in the folder, never outside


class ResultsPlan(FolderPlan):
    """What results are computed `of`, and the names of the files and folders that hold them."""

    format_version: Literal[1] = 1
    of: dict[str, Any]
    results: tuple[Name, ...]

    @property
    def identity(self) -> FolderPlan:
        """Results of other things may be replaced, if they are of the same kind."""
        return FolderPlan(kind=self.kind)


def renew(folder: SealedFolder[ResultsPlan]) -> None:
    """Remove the results that lie in a claimed folder, and no other file, now that there are new.

    Raises:
        ResourceError: nothing can be removed or written there.
    """
    there = folder.require_own()
    for name in there.results if there else ():
        remove_folder(join(folder.uri, name))
    folder.write_plan()
