package serve

import "time"

// modelCard is a model as OpenAI's API lists it, and Anthropic's with the words of its own.
type modelCard struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	OwnedBy string   `json:"owned_by"`
	Root    string   `json:"root"`                    // of an alias, the model
	Context int      `json:"max_model_len,omitempty"` // of a loaded one, as is what follows
	Able    []string `json:"capabilities,omitempty"`  // Ollama's words: completion or embedding, insert, tools, thinking
	Type    string   `json:"type"`
	Display string   `json:"display_name"`
	Born    string   `json:"created_at"`
	Status  struct {
		Value string `json:"value"` // loaded, unloaded: llama-server's words
	} `json:"status"`
}

func (m *model) card(name string) modelCard {
	c := modelCard{ID: name, Object: "model", Created: m.born.Unix(), OwnedBy: "qpt", Root: m.name, Type: "model", Display: name, Born: m.born.UTC().Format(time.RFC3339)}
	if c.Status.Value = "unloaded"; m.loaded.Load() {
		c.Status.Value, c.Context, c.Able = "loaded", m.context, m.able()
	}
	return c
}

func (s *Server) listModels(c *call) error {
	data := []modelCard{}
	for _, m := range s.models {
		for _, name := range m.names() {
			data = append(data, m.card(name))
		}
	}
	return writeJSON(c.w, 200, map[string]any{"object": "list", "data": data, "has_more": false, "first_id": data[0].ID, "last_id": data[len(data)-1].ID})
}

func (s *Server) getModel(c *call) error {
	name := c.r.PathValue("id")
	if name == "" {
		return s.listModels(c)
	}
	m, err := s.named(name)
	if err != nil {
		return err
	}
	return writeJSON(c.w, 200, m.card(name))
}
