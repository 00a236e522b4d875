package tokenizer

import "unicode/utf8"

// WordPiece: a word is the longest token that it starts with, then the longest
// that goes on, spelled with the prefix ("##"), to the end. A word where none
// goes on, or that is too long, is unknown as a whole.
var wordPieceKind = modelKind{
	check: func(m *model) error {
		if m.Unk == nil || m.MaxWord < 0 {
			return bad("WordPiece: no unk_token, or max_input_chars_per_word %d", m.MaxWord)
		}
		return nil
	},
	setup: func(t *Tokenizer) error {
		t.trie = newTrie(&t.vocab)
		t.more = t.trie.walk(0, t.cfg.SubwordPre)
		t.setUnk()
		return nil
	},
	word: func(e *encoder, word string) error {
		t, first := e.t, len(e.out)
		if len(word) > t.cfg.MaxWord && utf8.RuneCountInString(word) > t.cfg.MaxWord {
			return e.unknown(word)
		}
		for node := int32(0); word != ""; node = t.more {
			id, n := int32(-1), 0
			if node >= 0 {
				id, n = t.trie.longest(node, word)
			}
			if id < 0 {
				e.out = e.out[:first]
				return e.unknown(word)
			}
			e.out = append(e.out, id)
			word = word[n:]
		}
		return nil
	},
}

// WordLevel: a word is a token or unknown.
var wordLevelKind = modelKind{
	check: func(*model) error { return nil },
	setup: func(t *Tokenizer) error { t.setUnk(); return nil },
	word: func(e *encoder, word string) error {
		id := e.t.vocab.id(word)
		if id < 0 {
			return e.unknown(word)
		}
		e.out = append(e.out, id)
		return nil
	},
}
