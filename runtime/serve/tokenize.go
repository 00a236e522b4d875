package serve

import (
	"encoding/json"
	"unicode/utf8"

	"qpt/runtime/lm"
)

// tokenizeRequest is vLLM's, with a prompt or messages, and llama-server's, with content.
type tokenizeRequest struct {
	Model    string          `json:"model"`
	Prompt   *string         `json:"prompt"`
	Content  *string         `json:"content"`
	Messages json.RawMessage `json:"messages"`
	Special  *bool           `json:"add_special_tokens"`
	Special2 *bool           `json:"add_special"`
	Strings  bool            `json:"return_token_strs"`
	Pieces   bool            `json:"with_pieces"` // llama-server's: tokens with their texts
	templating
	toolParams
}

func (s *Server) tokenize(c *call) error {
	var q tokenizeRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	m, err := s.find(q.Model)
	if err != nil {
		return err
	}
	var ids []int32
	text := q.Prompt
	if text == nil {
		text = q.Content
	}
	switch {
	case text != nil:
		special := q.Special == nil || *q.Special
		if q.Special == nil && q.Prompt == nil {
			special = q.Special2 != nil && *q.Special2
		}
		ids, err = m.encode(c, *text, special)
	case q.Messages != nil:
		tools, err := q.toolParams.tools()
		if err != nil {
			return err
		}
		p, err := m.chatPrompt(c, q.Messages, tools.raw, &q.templating)
		if err != nil {
			return err
		}
		ids = p.ids
	default:
		err = refuse("prompt", "prompt or messages are missing")
	}
	if err != nil {
		return err
	}
	if ids == nil {
		ids = []int32{}
	}
	answer := map[string]any{"tokens": ids, "count": len(ids), "max_model_len": m.context, "token_strs": nil}
	if q.Strings {
		words := make([]string, len(ids))
		for i, id := range ids {
			words[i], _ = m.tok.Token(id)
		}
		answer["token_strs"] = words
	}
	if q.Pieces {
		pieces := make([]map[string]any, len(ids))
		for i, id := range ids {
			t := m.tokenLogprob(id, 0, false)
			pieces[i] = map[string]any{"id": id, "piece": t.Token}
			if !utf8.Valid(m.bytes(id)) {
				pieces[i]["piece"] = t.Bytes
			}
		}
		answer["tokens"] = pieces
	}
	return writeJSON(c.w, 200, answer)
}

func (s *Server) detokenize(c *call) error {
	var q struct {
		Model  string  `json:"model"`
		Tokens []int32 `json:"tokens"`
	}
	if err := decode(c.body, &q); err != nil {
		return err
	}
	m, err := s.find(q.Model)
	if err != nil {
		return err
	}
	switch {
	case m.tok == nil:
		return lm.ErrNoTokenizer
	case q.Tokens == nil:
		return refuse("tokens", "tokens are missing")
	}
	if err := m.known("tokens", q.Tokens); err != nil {
		return err
	}
	text := m.tok.Decode(q.Tokens, false)
	return writeJSON(c.w, 200, map[string]any{"prompt": text, "content": text})
}
