package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// Unigram: a word is cut into the tokens whose scores (logarithms of
// probabilities) add up to the most, float64 sums from the left, of equal ones
// the first found. A character that no token spells alone may be unknown, at
// a score of the least minus 10; neighbours that are become one.
var unigramKind = modelKind{
	check: func(m *model) error {
		if m.UnkID != nil {
			for token, id := range m.Vocab.ids {
				if int(id) == *m.UnkID {
					m.Unk = &token
				}
			}
			if m.Unk == nil {
				return bad("unk_id %d, must be below %d", *m.UnkID, len(m.Vocab.ids))
			}
		}
		return nil
	},
	setup: func(t *Tokenizer) error {
		if len(t.scores) != len(t.vocab.tokens) || t.vocab.count != len(t.scores) {
			return bad("%d scores for %d tokens", len(t.scores), t.vocab.count)
		}
		for i, s := range t.scores {
			if math.IsNaN(s) || math.IsInf(s, 0) {
				return bad("the score of token %d is %v", i, s)
			}
		}
		t.unkScore = slices.Min(t.scores) - 10
		t.trie = newTrie(&t.vocab)
		t.setUnk()
		t.setBytes()
		return nil
	},
	word: func(e *encoder, word string) error { return e.unigram(word) },
}

// lattice holds, for each place in a word, the best way to get there.
type lattice []struct {
	score float64
	from  int32 // where its last token starts, -1 if there is no way
	id    int32
}

func (e *encoder) unigram(word string) error {
	t := e.t
	e.ways = slices.Grow(e.ways[:0], len(word)+1)[:len(word)+1]
	for i := range e.ways {
		e.ways[i].from = -1
	}
	e.ways[0].score = 0
	reach := func(from, to int, score float64, id int32) {
		if w := &e.ways[to]; w.from < 0 || score > w.score {
			w.score, w.from, w.id = score, int32(from), id
		}
	}
	for i, first := range word {
		n, alone := i+utf8.RuneLen(first), false
		node := int32(0)
		for j, r := range word[i:] {
			if node = t.trie.next(node, r); node < 0 {
				break
			}
			if id := t.trie.ids[node]; id >= 0 {
				to := i + j + utf8.RuneLen(r)
				alone = alone || to == n
				reach(i, to, t.scores[id]+e.ways[i].score, id)
			}
		}
		if !alone {
			if t.unkID < 0 {
				return fmt.Errorf("%w: %q, and the tokenizer has no token for what is unknown", ErrUnknown, first)
			}
			reach(i, n, t.unkScore+e.ways[i].score, t.unkID)
		}
	}
	e.cuts = e.cuts[:0] // ends of tokens, from the last on
	for at := len(word); at > 0; {
		w := e.ways[at]
		if n := len(e.cuts); n == 0 || w.id != t.unkID || e.ways[e.cuts[n-1]].id != t.unkID {
			e.cuts = append(e.cuts, int32(at))
		}
		at = int(w.from)
	}
	from := 0
	for _, to := range slices.Backward(e.cuts) {
		if id := e.ways[to].id; id != t.unkID || t.unkID < 0 {
			e.out = append(e.out, id)
		} else if err := e.unknownPiece(word[from:to]); err != nil {
			return err
		}
		from = int(to)
	}
	return nil
}

// unknownPiece appends what a run of unknown characters becomes: a token that
// happens to be spelled so, its bytes' tokens, or the unknown token.
func (e *encoder) unknownPiece(s string) error {
	if id := e.t.vocab.id(s); id >= 0 {
		e.out = append(e.out, id)
		return nil
	}
	if e.t.cfg.ByteFallback {
		if e.word = e.word[:0]; e.bytes(s) {
			e.out = append(e.out, e.word...)
			return nil
		}
	}
	return e.unknown(s)
}
