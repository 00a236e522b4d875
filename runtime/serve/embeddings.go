package serve

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"qpt/internal/num"
)

// embeddingsRequest is OpenAI's, with vLLM's further parameters.
type embeddingsRequest struct {
	cutting
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Format     string          `json:"encoding_format"`
	Dimensions *int            `json:"dimensions"`
}

// embeddingItem is the embedding of a text: numbers, or their bytes (32-bit floats, little endian) in base64.
type embeddingItem struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding,omitempty"`
	Pooled    any    `json:"data,omitempty"` // the same in /pooling
}

func (s *Server) embeddings(c *call) error { return s.embeddingsAs(c, func(item *embeddingItem) {}) }

// pooling is vLLM's.
func (s *Server) pooling(c *call) error {
	return s.embeddingsAs(c, func(item *embeddingItem) {
		item.Object, item.Pooled, item.Embedding = "pooling", item.Embedding, nil
	})
}

// embeddingsAs answers with embeddings, each of which word brings into its form.
func (s *Server) embeddingsAs(c *call, word func(*embeddingItem)) error {
	var q embeddingsRequest
	c.names = map[string]string{"messages": "input"}
	if err := decode(c.body, &q); err != nil {
		return err
	}
	m, err := s.find(q.Model)
	if err != nil {
		return err
	}
	if q.Format != "" && q.Format != "float" && q.Format != "base64" {
		return refuse("encoding_format", "encoding_format %.40q: must be float or base64", q.Format)
	}
	if err := m.embeds(); err != nil {
		return err
	}
	list, err := m.inputs(c.ctx(), q.Input, &q.cutting)
	if err != nil {
		return err
	}
	rows, u, err := s.embed(c, m, list, q.Dimensions)
	if err != nil {
		return err
	}
	items := make([]embeddingItem, len(rows))
	for i, r := range rows {
		if items[i] = (embeddingItem{Object: "embedding", Index: i, Embedding: r}); q.Format == "base64" {
			items[i].Embedding = base64.StdEncoding.EncodeToString(num.BytesOf(r))
		}
		word(&items[i])
	}
	return writeJSON(c.w, 200, map[string]any{"id": newID("embd-"), "object": "list", "created": time.Now().Unix(), "data": items, "model": m.as(q.Model), "usage": u})
}

// ollamaEmbedRequest is Ollama's of /api/embed; /api/embeddings, which came before it, has a prompt.
type ollamaEmbedRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Prompt     string          `json:"prompt"`
	Truncate   *bool           `json:"truncate"`
	Dimensions *int            `json:"dimensions"`
}

// read makes the embeddings.
func (q *ollamaEmbedRequest) read(s *Server, c *call) ([][]float32, *usage, error) {
	m, err := s.find(ollamaModel(q.Model))
	if err != nil {
		return nil, nil, err
	}
	if err := m.embeds(); err != nil {
		return nil, nil, err
	}
	cut := cutting{Cut: q.Truncate}
	if cut.Cut == nil {
		cut.Cut = new(bool)
		*cut.Cut = true
	}
	list, err := m.inputs(c.ctx(), q.Input, &cut)
	if err != nil {
		return nil, nil, err
	}
	return s.embed(c, m, list, q.Dimensions)
}

func (s *Server) ollamaEmbed(c *call) error {
	start := time.Now()
	var q ollamaEmbedRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	rows, u, err := q.read(s, c)
	if err != nil {
		return err
	}
	return writeJSON(c.w, 200, map[string]any{"model": q.Model, "embeddings": rows, "total_duration": time.Since(start), "load_duration": 0, "prompt_eval_count": u.Prompt})
}

func (s *Server) ollamaEmbedding(c *call) error {
	var q ollamaEmbedRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	var err error
	if q.Input, err = json.Marshal(q.Prompt); err != nil {
		return err
	}
	rows, _, err := q.read(s, c)
	if err != nil {
		return err
	}
	return writeJSON(c.w, 200, map[string]any{"embedding": rows[0]})
}
