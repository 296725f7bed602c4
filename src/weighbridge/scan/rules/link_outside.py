"""The rule `link-outside`."""

from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.scan.rule import Folder, Rule


class LinkOutside(Rule):
    """
    ## What it does
    Looks for symbolic links that lead out of the model's folder.

    ## Why is this bad?
    Whoever loads the model reads a file of their own machine under the model's name, and whoever packs it ships that
    file. What stands there was neither signed nor weighed with the model.

    ## Example
    ```
    tokenizer.json -> /etc/hostname
    ```

    ## Use instead
    Regular files. A cache that links into its own store can be weighed with links allowed.

    ## Known problems
    The Hugging Face cache is made of such links; point to the model with `--links`, or weigh a copy.
    """

    name = "link-outside"
    summary = "a symbolic link leads out of the model"
    severity = Severity.WARNING
    folder = True

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """One finding a link."""
        for obstacle in folder.artifact.obstacles:
            if obstacle.code == "link-outside":
                yield self.finding(Place(path=obstacle.path), "the link leads out of the model", doubt=True)
