"""What the jobs about alerts share: conf, the outbox, and alerts on their way into it."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable, Iterator

from lakehouse.alerts.conf import AlertConf, load_alert_conf
from lakehouse.alerts.engine import recipients
from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.routing import routes
from lakehouse.clock import system_clock
from lakehouse.reference.watchlist import load_watchlist
from lakehouse.settings import CONF, Settings
from lakehouse.thin_feeds import Trust
from serving.delivery.connect import store_of, terms_of
from serving.delivery.outbox import ALERT, Outbox

Publish = Callable[[Alert], bool]


def read_conf(settings: Settings) -> AlertConf:
    """Rules, users, portfolios and watchlist, as the settings name their files."""
    watchlist = load_watchlist(CONF / settings.reference.watchlist)
    return load_alert_conf(CONF / settings.alerts.rules, CONF / settings.alerts.portfolios, watchlist.tickers)


def outbox_of(settings: Settings) -> Outbox:
    """The outbox, in the name of this process."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    store = store_of(settings.delivery, sleep=time.sleep)
    return Outbox(store, terms_of(settings.delivery), owner=owner, random=random.random)


def trust_of(settings: Settings) -> Trust:
    """What a volume must show for itself before a rule believes it."""
    health = settings.feeds.health
    return Trust(health.least_coverage, health.vouched_sessions)


def alerts_in(outbox: Outbox) -> Iterator[Alert]:
    """Every alert of the outbox, whoever put it there."""
    return (Alert.from_json(str(item["body"])) for item in outbox.store.scan() if item["sk"] == ALERT)


def publisher(outbox: Outbox, conf: AlertConf) -> Publish:
    """A function that puts an alert into the outbox with a delivery for everybody it concerns."""

    def publish(alert: Alert) -> bool:
        rule = conf.rule(alert.rule)
        users = [conf.users[name] for name in recipients(alert, rule, conf)]
        return outbox.put(alert, routes(alert, rule, users, system_clock()))

    return publish
