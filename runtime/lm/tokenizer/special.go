package tokenizer

import (
	"maps"
	"slices"
)

// Specials are the spellings of the special added tokens, in the order of their ids.
func (t *Tokenizer) Specials() (list []string) {
	for _, id := range slices.Sorted(maps.Keys(t.added)) {
		if a := t.added[id]; a.Special {
			list = append(list, a.Content)
		}
	}
	return list
}
