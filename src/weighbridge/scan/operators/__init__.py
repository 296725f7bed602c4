"""What operators of the graph formats do: reviewed tables, and the views through which rules see graphs."""
