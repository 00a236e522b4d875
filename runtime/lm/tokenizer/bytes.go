package tokenizer

import "strings"

// Bytes returns what a token adds to a text that has begun: bytes, which need be no whole characters. It is nil for
// ids without a token, for special tokens, which no text shows, and where the decoder makes a token's text depend on
// other tokens (ByBytes tells).
func (t *Tokenizer) Bytes(id int32) []byte {
	token := ""
	if a := t.added[id]; a != nil {
		if a.skip || a.Special {
			return nil
		}
		token = a.pattern
	} else if s, ok := t.vocab.token(id); ok {
		token = s
	} else {
		return nil
	}
	for _, s := range t.cfg.Decoder.steps() {
		switch s.Type {
		case "Replace":
			token = strings.ReplaceAll(token, *s.Pattern.String, s.Content)
		case "Metaspace":
			token = strings.ReplaceAll(token, s.Replacement, " ")
		case "ByteFallback":
			if b, ok := parseByteToken(token); ok {
				return []byte{b}
			}
		case "ByteLevel":
			return alphabetBytes(token)
		}
	}
	return []byte(token)
}

// ByBytes tells whether a text is the Bytes of its tokens, put together, but for the start of the text.
func (t *Tokenizer) ByBytes() bool {
	for i, s := range t.cfg.Decoder.steps() {
		switch s.Type {
		case "Replace", "Metaspace", "ByteFallback", "ByteLevel", "Fuse":
		case "Strip": // of the start of the text, if what is before joins the tokens
			before := t.cfg.Decoder.steps()[:i]
			if len(before) == 0 || before[len(before)-1].Type != "Fuse" && before[len(before)-1].Type != "ByteLevel" {
				return false
			}
		default:
			return false
		}
	}
	return t.cfg.Decoder != nil && !t.cfg.CleanUp
}

// alphabetBytes are the bytes that a token of the byte alphabet stands for; any other token stands for itself.
func alphabetBytes(token string) []byte {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := alphabetByte(r)
		if !ok {
			return []byte(token)
		}
		out = append(out, b)
	}
	return out
}
