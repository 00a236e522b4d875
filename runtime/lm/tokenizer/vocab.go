package tokenizer

import "hash/maphash"

// vocab is the model's vocabulary: spellings by id and, in an open-addressing
// hash table, ids by spelling. It fills in a fraction of the time of Go's map.
type vocab struct {
	tokens []string // by id; "" where there is no such id
	count  int      // of ids that exist
	empty  int32    // the id of "", -1 if it is no token

	seed  maphash.Seed
	slots []uint64 // 0, or the upper half of the hash, then id+1
}

// newVocab makes room for the ids below size.
func newVocab(size int) vocab {
	n := 4
	for n < 2*size {
		n *= 2
	}
	return vocab{tokens: make([]string, size), empty: -1, seed: maphash.MakeSeed(), slots: make([]uint64, n)}
}

// add reports whether the token is new.
func (v *vocab) add(token string, id int32) bool {
	h := maphash.String(v.seed, token)
	at, old := v.slot(token, h)
	if old >= 0 {
		return false
	}
	v.slots[at] = h>>32<<32 | uint64(id+1)
	v.tokens[id] = token
	if token == "" {
		v.empty = id
	}
	v.count++
	return true
}

// slot returns the place in the table of a token with hash h and its id, or
// else a free place and -1.
func (v *vocab) slot(token string, h uint64) (int, int32) {
	mask := len(v.slots) - 1
	for i := int(h) & mask; ; i = (i + 1) & mask {
		s := v.slots[i]
		if s == 0 {
			return i, -1
		}
		if id := int32(uint32(s)) - 1; s>>32 == h>>32 && v.tokens[id] == token {
			return i, id
		}
	}
}

// id returns the id of a token, -1 if it is none.
func (v *vocab) id(token string) int32 {
	_, id := v.slot(token, maphash.String(v.seed, token))
	return id
}

// token returns the spelling of an id.
func (v *vocab) token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(v.tokens) {
		return "", false
	}
	s := v.tokens[id]
	return s, s != "" || id == v.empty
}

func (t *Tokenizer) setVocab(words map[string]int32) error {
	limit := int32(2*len(words) + 1024) // bounds what sparse ids may cost
	size := int32(0)
	for token, id := range words {
		if id < 0 || id >= limit {
			return bad("token %q: id %d, must be 0 to %d for %d tokens", token, id, limit-1, len(words))
		}
		size = max(size, id+1)
	}
	t.vocab = newVocab(int(size))
	for token, id := range words {
		if other, taken := t.vocab.token(id); taken {
			return bad("tokens %q and %q have the same id %d", other, token, id)
		}
		t.vocab.add(token, id)
	}
	return nil
}
