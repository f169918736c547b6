"""The commands of the shell: ``swarmgrid ls``, ``swarmgrid run`` and the others."""
