package serve

import (
	"unicode/utf8"

	"qpt/runtime/serve/sched"
)

// least stands for minus infinity, which JSON lacks.
const least = -9999

// tokenLogprob is a token in a chat's logprobs.
type tokenLogprob struct {
	Token   string         `json:"token"`
	Logprob float32        `json:"logprob"`
	Bytes   []int          `json:"bytes"`
	Top     []tokenLogprob `json:"top_logprobs,omitzero"` // nil: the token is an alternative itself
}

// chatLogprob words a token's probability as chats have it.
func (m *model) chatLogprob(lp *sched.Logprob) tokenLogprob {
	t := m.tokenLogprob(lp.ID, lp.Logprob)
	t.Top = []tokenLogprob{}
	for _, o := range lp.Top {
		t.Top = append(t.Top, m.tokenLogprob(o.ID, o.Logprob))
	}
	return t
}

func (m *model) tokenLogprob(id int32, lp float32) tokenLogprob {
	b := m.bytes(id)
	list := make([]int, len(b))
	for i, c := range b {
		list[i] = int(c)
	}
	return tokenLogprob{Token: word(b), Logprob: max(lp, least), Bytes: list}
}

// word spells bytes as text; those that are none, such as a part of a character, as OpenAI does.
func word(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	const hex = "0123456789abcdef"
	s := "bytes:"
	for _, c := range b {
		s += `\x` + string(hex[c>>4]) + string(hex[c&15])
	}
	return s
}

// textLogprobs are the logprobs of a completion.
type textLogprobs struct {
	Tokens   []string             `json:"tokens"`
	Logprobs []*float32           `json:"token_logprobs"`
	Top      []map[string]float32 `json:"top_logprobs"`
	Offset   []int                `json:"text_offset"`
}

// add appends a token that begins at an offset of the text, in characters. lp may be nil: the first of a prompt has none.
func (l *textLogprobs) add(m *model, id int32, lp *sched.Logprob, offset int) {
	l.Tokens = append(l.Tokens, word(m.bytes(id)))
	l.Offset = append(l.Offset, offset)
	if lp == nil {
		l.Logprobs, l.Top = append(l.Logprobs, nil), append(l.Top, nil)
		return
	}
	own := max(lp.Logprob, least)
	top := map[string]float32{}
	for _, o := range lp.Top {
		w := word(m.bytes(o.ID))
		if _, there := top[w]; !there { // of those spelled alike the likeliest
			top[w] = max(o.Logprob, least)
		}
	}
	if w := word(m.bytes(id)); len(lp.Top) > 0 {
		if _, there := top[w]; !there {
			top[w] = own
		}
	}
	l.Logprobs, l.Top = append(l.Logprobs, &own), append(l.Top, top)
}

// promptLogprobs are vLLM's: for each token of the prompt, by id, its probability, rank and spelling.
func (m *model) promptLogprobs(list []*sched.Logprob) []map[string]any {
	var out []map[string]any
	for _, lp := range list {
		if lp == nil {
			out = append(out, nil)
			continue
		}
		at := map[string]any{}
		for i, o := range lp.Top {
			at[itoa(o.ID)] = map[string]any{"logprob": max(o.Logprob, least), "rank": i + 1, "decoded_token": word(m.bytes(o.ID))}
		}
		if at[itoa(lp.ID)] == nil {
			at[itoa(lp.ID)] = map[string]any{"logprob": max(lp.Logprob, least), "decoded_token": word(m.bytes(lp.ID))}
		}
		out = append(out, at)
	}
	return out
}
