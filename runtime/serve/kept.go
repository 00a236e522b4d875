package serve

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
)

// Limits of the responses that are kept: the oldest are forgotten first.
const (
	maxKept      = 1024
	maxKeptBytes = 64 << 20
)

// keptResponses are the last responses, in memory, so that a request can go on with one (previous_response_id). Each API key
// sees its own.
type keptResponses struct {
	mu    sync.Mutex
	list  []*keptResponse // the latest last
	bytes int
}

type keptResponse struct {
	key, id      string
	body         json.RawMessage
	input, items []json.RawMessage // of the request, and of the conversation up to the answer
	bytes        int
}

// keep keeps a response that has come to its end.
func (k *keptResponses) keep(key string, r *response, q *responsesRequest) (err error) {
	n := &keptResponse{key: key, id: r.ID, input: q.input, items: slices.Concat(q.before, q.input)}
	if n.body, err = json.Marshal(r); err != nil {
		return err
	}
	for _, o := range r.Output {
		item, err := json.Marshal(o)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	n.bytes = len(n.body)
	for _, item := range n.items {
		n.bytes += len(item)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list, k.bytes = append(k.list, n), k.bytes+n.bytes
	for len(k.list) > maxKept || k.bytes > maxKeptBytes {
		k.drop(0)
	}
	return nil
}

// drop forgets a response.
func (k *keptResponses) drop(i int) {
	k.bytes -= k.list[i].bytes
	k.list = slices.Delete(k.list, i, i+1)
}

// find returns a response, or forgets it as well.
func (k *keptResponses) find(key, id, param string, forget bool) (*keptResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.list, func(r *keptResponse) bool { return r.key == key && r.id == id })
	if i < 0 {
		return nil, &apiError{status: http.StatusNotFound, kind: "invalid_request_error", code: "response_not_found", param: param,
			message: "there is no such response: this server keeps the last ones only, and none with store false"}
	}
	r := k.list[i]
	if forget {
		k.drop(i)
	}
	return r, nil
}

// conversation are the items up to a response and its answer.
func (k *keptResponses) conversation(key, id string) ([]json.RawMessage, error) {
	r, err := k.find(key, id, "previous_response_id", false)
	if err != nil {
		return nil, err
	}
	return r.items, nil
}

func (s *Server) getResponse(c *call) error {
	r, err := s.kept.find(c.key, c.r.PathValue("id"), "", false)
	if err != nil {
		return err
	}
	return writeJSON(c.w, 200, r.body)
}

func (s *Server) deleteResponse(c *call) error {
	r, err := s.kept.find(c.key, c.r.PathValue("id"), "", true)
	if err != nil {
		return err
	}
	return writeJSON(c.w, 200, map[string]any{"id": r.id, "object": "response", "deleted": true})
}

// cancelResponse refuses to end a response that has come to its end: there are no others, without background.
func (s *Server) cancelResponse(c *call) error {
	if _, err := s.kept.find(c.key, c.r.PathValue("id"), "", false); err != nil {
		return err
	}
	return refuse("", "only responses made with background can be cancelled: close the connection to end one that is being made")
}

// responseInput lists what a response answered, the latest first, as OpenAI does.
func (s *Server) responseInput(c *call) error {
	r, err := s.kept.find(c.key, c.r.PathValue("id"), "", false)
	if err != nil {
		return err
	}
	data := slices.Clone(r.input)
	if c.r.URL.Query().Get("order") != "asc" {
		slices.Reverse(data)
	}
	return writeJSON(c.w, 200, map[string]any{"object": "list", "data": data, "has_more": false})
}
