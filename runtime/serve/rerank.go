package serve

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"time"

	"qpt/runtime/encoder"
	"qpt/runtime/lm/tokenizer"
)

// passages are texts, each by itself or as the text of an object.
type passages []string

func (p *passages) UnmarshalJSON(b []byte) error {
	var items []json.RawMessage
	if json.Unmarshal(b, &items) != nil {
		items = []json.RawMessage{b}
	}
	for _, item := range items {
		var text string
		var object struct {
			Text *string `json:"text"`
		}
		switch {
		case json.Unmarshal(item, &text) == nil:
		case json.Unmarshal(item, &object) == nil && object.Text != nil:
			text = *object.Text
		default:
			return refuse("", `want a text, {"text": ..}, or a list of them`)
		}
		*p = append(*p, text)
	}
	return nil
}

// similarity scores pairs of texts: by a cross-encoder, which reads both at once, or by the cosine of their embeddings.
func (s *Server) similarity(c *call, m *model, first, second []string, cut *cutting) (scores []float32, u *usage, err error) {
	if m.enc == nil {
		return nil, nil, refuse("model", "the model %s scores no pairs: %s", m.name, m.gives())
	}
	most, err := cut.most(m)
	if err != nil {
		return nil, nil, err
	}
	var list []tokenizer.Encoding
	add := func(texts ...string) error {
		e, err := m.whole(c.ctx(), most, texts...)
		if err == nil {
			err = m.check("", len(list), &e)
		}
		list = append(list, e)
		return err
	}
	output, labels, err := m.enc.Classes()
	if err == nil && labels == 1 {
		for i := range second {
			if err := add(first[i%len(first)], second[i]); err != nil {
				return nil, nil, err
			}
		}
		rows, u, err := s.read(c, m, list, output)
		for _, r := range rows {
			scores = append(scores, r[0])
		}
		return scores, u, err
	}
	if m.enc.Width() == 0 {
		return nil, nil, refuse("model", "the model %s scores no pairs: %s", m.name, m.gives())
	}
	for _, text := range slices.Concat(first, second) {
		if err := add(text); err != nil {
			return nil, nil, err
		}
	}
	rows, u, err := s.read(c, m, list, encoder.Embedding)
	if err != nil {
		return nil, nil, err
	}
	for i := range second {
		scores = append(scores, cosine(rows[i%len(first)], rows[len(first)+i]))
	}
	return scores, u, nil
}

// cosine of two vectors; 0 where one has no length.
func cosine(a, b []float32) float32 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return float32(ab / math.Sqrt(aa*bb))
}

// rerankRequest is Jina's and Cohere's, as vLLM and llama-server take it.
type rerankRequest struct {
	cutting
	Model     string   `json:"model"`
	Query     *string  `json:"query"`
	Documents passages `json:"documents"`
	Top       int      `json:"top_n"`
	Return    *bool    `json:"return_documents"`
}

type ranked struct {
	Index    int               `json:"index"`
	Document map[string]string `json:"document,omitempty"`
	Score    float32           `json:"relevance_score"`
}

func (s *Server) rerank(c *call) error {
	var q rerankRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	m, err := s.find(q.Model)
	if err != nil {
		return err
	}
	switch {
	case q.Query == nil:
		return refuse("query", "query is missing")
	case len(q.Documents) == 0:
		return refuse("documents", "documents are missing")
	case len(q.Documents) > maxInputs:
		return refuse("documents", "%d documents, at most %d", len(q.Documents), maxInputs)
	case q.Top < 0:
		return refuse("top_n", "top_n %d: must not be negative", q.Top)
	}
	scores, u, err := s.similarity(c, m, []string{*q.Query}, q.Documents, &q.cutting)
	if err != nil {
		return err
	}
	list := make([]ranked, len(scores))
	for i, x := range scores {
		if list[i] = (ranked{Index: i, Score: x}); q.Return == nil || *q.Return {
			list[i].Document = map[string]string{"text": q.Documents[i]}
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int { return cmp.Compare(b.Score, a.Score) })
	if q.Top > 0 {
		list = list[:min(q.Top, len(list))]
	}
	return writeJSON(c.w, 200, map[string]any{"id": newID("rerank-"), "object": "list", "model": m.as(q.Model), "usage": u, "results": list})
}

// scoreRequest is vLLM's: text_1 is one text, or as many as text_2 has.
type scoreRequest struct {
	cutting
	Model     string   `json:"model"`
	First     passages `json:"text_1"`
	Second    passages `json:"text_2"`
	Queries   passages `json:"queries"`   // in newer releases
	Documents passages `json:"documents"` //
}

type scored struct {
	Index  int     `json:"index"`
	Object string  `json:"object"`
	Score  float32 `json:"score"`
}

func (s *Server) score(c *call) error {
	var q scoreRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	m, err := s.find(q.Model)
	if err != nil {
		return err
	}
	first, second := append(q.First, q.Queries...), append(q.Second, q.Documents...)
	switch {
	case len(first) == 0 || len(second) == 0:
		return refuse("text_1", "text_1 and text_2 (or queries and documents) are missing")
	case len(second) > maxInputs:
		return refuse("text_2", "%d texts, at most %d", len(second), maxInputs)
	case len(first) != 1 && len(first) != len(second):
		return refuse("text_1", "%d texts beside %d: must be one, or as many", len(first), len(second))
	}
	scores, u, err := s.similarity(c, m, first, second, &q.cutting)
	if err != nil {
		return err
	}
	list := make([]scored, len(scores))
	for i, x := range scores {
		list[i] = scored{i, "score", x}
	}
	return writeJSON(c.w, 200, map[string]any{"id": newID("score-"), "object": "list", "created": time.Now().Unix(), "model": m.as(q.Model), "data": list, "usage": u})
}
