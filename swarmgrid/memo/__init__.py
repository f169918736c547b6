"""SwarmMemo: grids behind the interface of swarm-memo."""
