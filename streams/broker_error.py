"""The one exception of the embedded broker."""


class BrokerError(Exception):
    """The embedded Kafka cannot do what was asked; the text is one sentence for an operator, with what to do next."""
