package serve

import (
	"bytes"
	"encoding/json"
	"fmt"

	"qpt/runtime/lm"
	"qpt/runtime/serve/sched"
)

// encode gives the ids of a text in which special tokens count.
func (m *model) encode(c *call, text string, special bool) ([]int32, error) {
	if m.tok == nil {
		return nil, lm.ErrNoTokenizer
	}
	if err := m.fits(len(text)); err != nil && !c.cut {
		return nil, err
	}
	return m.tok.Encode(c.ctx(), text, special)
}

// fits refuses a text that cannot fit in the context, before it is cut into tokens.
func (m *model) fits(bytes int) error {
	if least := bytes / max(m.longest, 1); least > m.context {
		return fmt.Errorf("%w: the text gives %d tokens or more, the context has %d", sched.ErrContext, least, m.context)
	}
	return nil
}

// known refuses ids that are no tokens.
func (m *model) known(param string, ids []int32) error {
	for _, id := range ids {
		if id < 0 || int(id) >= m.vocab {
			return refuse(param, "token %d is not in the vocabulary of %d", id, m.vocab)
		}
	}
	return nil
}

// readTexts reads what a model is to read: a text, texts, ids, or lists of ids.
func readTexts(param string, raw json.RawMessage, most int) (many texts, lists [][]int32, err error) {
	var ids []int32
	switch {
	case raw == nil:
		return nil, nil, refuse(param, "%s is missing", param)
	case json.Unmarshal(raw, &many) == nil:
	case json.Unmarshal(raw, &ids) == nil:
		lists = [][]int32{ids}
	default:
		err = json.Unmarshal(raw, &lists)
	}
	switch n := len(many) + len(lists); {
	case err != nil, lists != nil && bytes.Contains(raw, []byte("null")):
		return nil, nil, refuse(param, "%s must be a text, a list of texts, of token ids, or of lists of token ids", param)
	case n == 0:
		return nil, nil, refuse(param, "%s is an empty list", param)
	case n > most:
		return nil, nil, refuse(param, "%d texts, at most %d", n, most)
	}
	return many, lists, nil
}

// prompts reads the prompt of a completion.
func (m *model) prompts(c *call, raw json.RawMessage, special bool) ([][]int32, error) {
	many, list, err := readTexts("prompt", raw, maxChoices)
	if err != nil {
		return nil, err
	}
	for _, text := range many {
		ids, err := m.encode(c, text, special)
		if err != nil {
			return nil, err
		}
		list = append(list, ids)
	}
	for i, ids := range list {
		if len(ids) == 0 {
			bos := m.lm.Meta.Model.BOS
			if bos < 0 {
				return nil, refuse("prompt", "a prompt is empty, and the model has no token that begins texts")
			}
			list[i] = []int32{int32(bos)}
		}
		if err := m.known("prompt", list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}
