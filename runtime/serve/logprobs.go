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

// chatLogprob words a token's probability as chats have it, the tokens by their ids if wanted.
func (m *model) chatLogprob(lp *sched.Logprob, ids bool) tokenLogprob {
	t := m.tokenLogprob(lp.ID, lp.Logprob, ids)
	t.Top = []tokenLogprob{}
	for _, o := range lp.Top {
		t.Top = append(t.Top, m.tokenLogprob(o.ID, o.Logprob, ids))
	}
	return t
}

func (m *model) tokenLogprob(id int32, lp float32, ids bool) tokenLogprob {
	b := m.bytes(id)
	list := make([]int, len(b))
	for i, c := range b {
		list[i] = int(c)
	}
	return tokenLogprob{Token: m.word(id, ids), Logprob: max(lp, least), Bytes: list}
}

// word spells a token as text; bytes that are none, such as a part of a character, as OpenAI does; an id as vLLM does.
func (m *model) word(id int32, ids bool) string {
	if ids {
		return "token_id:" + itoa(id)
	}
	b := m.bytes(id)
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
func (l *textLogprobs) add(m *model, id int32, lp *sched.Logprob, offset int, ids bool) {
	own := m.word(id, ids)
	l.Tokens = append(l.Tokens, own)
	l.Offset = append(l.Offset, offset)
	if lp == nil {
		l.Logprobs, l.Top = append(l.Logprobs, nil), append(l.Top, nil)
		return
	}
	p := max(lp.Logprob, least)
	top := map[string]float32{}
	for _, o := range lp.Top {
		w := m.word(o.ID, ids)
		if _, there := top[w]; !there { // of those spelled alike the likeliest
			top[w] = max(o.Logprob, least)
		}
	}
	if _, there := top[own]; !there && len(lp.Top) > 0 {
		top[own] = p
	}
	l.Logprobs, l.Top = append(l.Logprobs, &p), append(l.Top, top)
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
			at[itoa(o.ID)] = map[string]any{"logprob": max(o.Logprob, least), "rank": i + 1, "decoded_token": m.word(o.ID, false)}
		}
		if at[itoa(lp.ID)] == nil {
			at[itoa(lp.ID)] = map[string]any{"logprob": max(lp.Logprob, least), "rank": lp.Rank, "decoded_token": m.word(lp.ID, false)}
		}
		out = append(out, at)
	}
	return out
}
