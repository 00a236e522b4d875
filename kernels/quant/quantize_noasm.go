//go:build purego || !amd64

package quant

func spans(t []float32, group int, lo, hi []lanes) { spansGeneric(t, group, lo, hi) }

func trials(t, imp []float32, pair *[2]trial) { trialsGeneric(t, imp, pair) }

func searchGroups(a *groupSearch) { searchGeneric(a) }

func encodeGroups(e *encoding) { encodeGroupsGeneric(e) }

func encodeI8(e *encoding) { encodeI8Generic(e) }
