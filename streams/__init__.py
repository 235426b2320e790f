"""How events move: messages, topics, agents, clients, the embedded broker and the command line."""
