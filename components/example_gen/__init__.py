"""ExampleGen of click logs: files, partitions and published logs to checked tf.Examples."""
