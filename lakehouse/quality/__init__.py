"""Data quality: rules from the declarations, judgements of whole tables, flags between sources."""

import os

# Great Expectations reads this when it is imported: it sends nobody anything about us.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
