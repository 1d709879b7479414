"""The lab's network: namespaces, links, rules, listeners and the processes in pods."""
