package serve

import (
	"encoding/json"
	"fmt"
	"time"

	"qpt/runtime/encoder"
)

// classifyRequest is vLLM's.
type classifyRequest struct {
	cutting
	Model string          `json:"model"`
	Input json.RawMessage `json:"input"`
}

// classified is a text, or one of its tokens, with the shares of the labels.
type classified struct {
	Index   int          `json:"index"`
	Token   *string      `json:"token,omitempty"`
	ID      *int32       `json:"token_id,omitempty"`
	Label   string       `json:"label,omitempty"`
	Shares  []float32    `json:"probs,omitempty"`
	Classes int          `json:"num_classes"`
	Tokens  []classified `json:"tokens,omitempty"` // of a model that classifies tokens
}

func (s *Server) classify(c *call) error {
	var q classifyRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	m, err := s.find(q.Model)
	if err != nil {
		return err
	}
	if m.enc == nil {
		return refuse("model", "the model %s classifies no texts: %s", m.name, m.gives())
	}
	output, labels, err := m.enc.Classes()
	each := m.enc.PerToken()
	switch {
	case each:
		output, labels = encoder.Scores, len(m.enc.Labels())
	case err != nil:
		return refuse("model", "the model %s classifies no texts: %s", m.name, m.gives())
	}
	list, err := m.inputs(c.ctx(), q.Input, &q.cutting)
	if err != nil {
		return err
	}
	rows, u, err := s.read(c, m, list, output)
	if err != nil {
		return err
	}
	data := make([]classified, len(rows))
	for i, r := range rows {
		if !each {
			data[i] = m.likeliest(i, r)
			continue
		}
		data[i] = classified{Index: i, Classes: labels}
		for j, id := range list[i].IDs {
			t := m.likeliest(j, r[j*len(r)/len(list[i].IDs):][:len(r)/len(list[i].IDs)])
			t.ID = &id
			if m.tok != nil {
				word, _ := m.tok.Token(id)
				t.Token = &word
			}
			data[i].Tokens = append(data[i].Tokens, t)
		}
	}
	return writeJSON(c.w, 200, map[string]any{"id": newID("classify-"), "object": "list", "created": time.Now().Unix(), "model": m.as(q.Model), "data": data, "usage": u})
}

// likeliest words the shares of labels.
func (m *model) likeliest(i int, shares []float32) classified {
	best := 0
	for j, x := range shares {
		if x > shares[best] {
			best = j
		}
	}
	c := classified{Index: i, Label: fmt.Sprint("LABEL_", best), Shares: shares, Classes: len(shares)}
	if labels := m.enc.Labels(); best < len(labels) {
		c.Label = labels[best]
	}
	return c
}
