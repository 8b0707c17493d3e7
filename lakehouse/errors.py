"""The errors a person meets: where, what against what, what happened to the data, what to do next."""


class TickhouseError(Exception):
    """Base of every error that a person can act on; its text is the whole message."""


class SettingsError(TickhouseError):
    """A setting is unknown, malformed or missing."""


class TableError(TickhouseError):
    """A table does not look like its declaration, or a change to it is not safe."""


class CheckpointError(TickhouseError):
    """A checkpoint is lost, foreign or damaged."""


class LeaseError(TickhouseError):
    """Another process owns what this one wants to write."""


class SourceError(TickhouseError):
    """The stream cannot deliver what was asked for without skipping data."""


class FeedError(TickhouseError):
    """A feed could not hand its records to the stream."""


class DocumentError(TickhouseError):
    """A fetched document is not what its source promises, so nothing of it can be kept."""


class QualityError(TickhouseError):
    """A table does not hold what its declaration promises, or nobody has looked."""
