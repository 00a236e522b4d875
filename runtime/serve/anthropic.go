package serve

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"qpt/runtime/lm/calls"
	"qpt/runtime/serve/sched"
)

// anthropicError words errors as Anthropic's clients expect them.
func anthropicError(e *apiError) any {
	kind := map[int]string{400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error"}[e.status]
	switch {
	case kind != "":
	case e.status < 500:
		kind = "invalid_request_error"
	default:
		kind = "api_error"
	}
	return map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": e.message}}
}

// anthropicRequest is that of Anthropic's messages.
type anthropicRequest struct {
	Model       string          `json:"model"`
	Messages    json.RawMessage `json:"messages"`
	System      json.RawMessage `json:"system"`
	MaxTokens   *int            `json:"max_tokens"`
	Stop        texts           `json:"stop_sequences"`
	Temperature *float64        `json:"temperature"`
	TopP        *float64        `json:"top_p"`
	TopK        int             `json:"top_k"`
	Stream      bool            `json:"stream"`
	Tools       []struct {
		Type        string          `json:"type"`
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Schema      json.RawMessage `json:"input_schema"`
		Strict      bool            `json:"strict"`
	} `json:"tools"`
	Choice *struct {
		Type   string `json:"type"`
		Name   string `json:"name"`
		Single bool   `json:"disable_parallel_tool_use"`
	} `json:"tool_choice"`
	Format json.RawMessage `json:"output_format"`
	Output struct {
		Format json.RawMessage `json:"format"`
		Effort string          `json:"effort"`
	} `json:"output_config"`
	Thinking *struct {
		Type string `json:"type"` // enabled, adaptive, disabled
	} `json:"thinking"`

	answer bool // not only count
}

// anthropicBlock is a part of a message: a text, a reasoning, a call of a tool, or its result.
type anthropicBlock struct {
	Type      string           `json:"type"`
	Text      *string          `json:"text,omitempty"`
	Thinking  *string          `json:"thinking,omitempty"`
	Signature *string          `json:"signature,omitempty"`
	ID        string           `json:"id,omitempty"`
	Name      string           `json:"name,omitempty"`
	Input     *json.RawMessage `json:"input,omitempty"`
}

// chat is the same request to the chat endpoint.
func (q *anthropicRequest) chat() (*chatRequest, error) {
	if q.answer && q.MaxTokens == nil {
		return nil, refuse("max_tokens", "max_tokens is missing")
	}
	r := &chatRequest{MaxTokens: q.MaxTokens}
	r.Model, r.Temperature, r.TopP, r.TopK, r.Stop, r.Stream = q.Model, q.Temperature, q.TopP, q.TopK, q.Stop, q.Stream
	list, err := anthropicMessages(q.Messages)
	if err != nil {
		return nil, err
	}
	if t := q.Thinking; t != nil {
		if !slices.Contains([]string{"enabled", "adaptive", "disabled"}, t.Type) {
			return nil, refuse("thinking", "thinking of type %.40q: must be enabled, adaptive or disabled", t.Type)
		}
		r.think(t.Type != "disabled")
	}
	r.Effort = q.Output.Effort
	if last := &list[len(list)-1]; last.Role == "assistant" && last.ToolCalls == nil { // is the beginning of the answer
		r.AddPrompt, r.Continue = new(bool), true
	}
	if q.System != nil {
		text, err := textOf(q.System)
		if err != nil {
			return nil, refuse("system", "system: %s", err)
		}
		content, _ := json.Marshal(text)
		list = append([]message{{Role: "system", Content: content}}, list...)
	}
	if r.Messages, err = json.Marshal(list); err != nil {
		return nil, err
	}
	for param, format := range map[string]json.RawMessage{"output_format": q.Format, "output_config": q.Output.Format} {
		if err := r.responseFormat(param, format); err != nil {
			return nil, err
		}
	}
	var tools []any
	for i, t := range q.Tools {
		if t.Type != "" && t.Type != "custom" {
			return nil, refuse("tools", "tool %d: type %.40q is not supported", i, t.Type)
		}
		f := map[string]any{"name": t.Name, "description": t.Description, "parameters": t.Schema}
		if t.Strict {
			f["strict"] = true
		}
		tools = append(tools, map[string]any{"type": "function", "function": f})
	}
	if tools != nil {
		r.Tools, err = json.Marshal(tools)
	}
	if c := q.Choice; c != nil && err == nil {
		parallel := !c.Single
		r.Parallel = &parallel
		switch c.Type {
		case "tool":
			r.Choice, err = json.Marshal(map[string]any{"type": "function", "function": map[string]any{"name": c.Name}})
		case "auto", "any", "none":
			r.Choice, err = json.Marshal(c.Type)
		default:
			return nil, refuse("tool_choice", "tool_choice of type %.40q: must be auto, any, none or tool", c.Type)
		}
	}
	return r, err
}

// anthropicMessages brings messages, whose contents are texts or blocks, into the form of chats.
func anthropicMessages(raw json.RawMessage) (list []message, err error) {
	var items []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(raw, &items); err != nil || len(items) == 0 {
		return nil, refuse("messages", "messages must be a list of at least one message")
	}
	for i, item := range items {
		if item.Role != "user" && item.Role != "assistant" {
			return nil, refuse("messages", "message %d: role %.40q: must be user or assistant", i, item.Role)
		}
		var blocks []struct {
			Type    string          `json:"type"`
			Text    *string         `json:"text"`
			ID      string          `json:"id"`
			Name    string          `json:"name"`
			Input   json.RawMessage `json:"input"`
			Thought string          `json:"thinking"`
			CallID  string          `json:"tool_use_id"`
			Content json.RawMessage `json:"content"`
		}
		if !bytes.HasPrefix(item.Content, []byte("[")) {
			list = append(list, message{Role: item.Role, Content: item.Content})
			continue
		}
		if err := json.Unmarshal(item.Content, &blocks); err != nil || len(blocks) == 0 {
			return nil, refuse("messages", "message %d: content must be a text or a list of at least one block", i)
		}
		m := message{Role: item.Role}
		var text strings.Builder
		own := false // something that is not a result, which is a message of its own
		for _, b := range blocks {
			switch b.Type {
			case "text":
				if b.Text == nil {
					return nil, refuse("messages", "message %d: a block of type text has no text", i)
				}
				text.WriteString(*b.Text)
				own = true
			case "thinking":
				m.Reasoning += b.Thought
				own = true
			case "redacted_thinking":
				own = true
			case "tool_use":
				t := toolCall{ID: b.ID, Type: "function"}
				t.Function.Name = b.Name
				t.Function.Arguments, _ = json.Marshal(string(b.Input))
				m.ToolCalls = append(m.ToolCalls, t)
				own = true
			case "tool_result":
				if b.Content == nil {
					b.Content = json.RawMessage(`""`)
				}
				list = append(list, message{Role: "tool", Content: b.Content, CallID: b.CallID})
			default:
				return nil, refuse("messages", "message %d: a block of type %.40q is not supported", i, b.Type)
			}
		}
		if own {
			m.Content, _ = json.Marshal(text.String())
			list = append(list, m)
		}
	}
	return list, nil
}

// anthropicMessage is the answer.
type anthropicMessage struct {
	ID      string            `json:"id"`
	Type    string            `json:"type"`
	Role    string            `json:"role"`
	Model   string            `json:"model"`
	Content []*anthropicBlock `json:"content"`
	Reason  *string           `json:"stop_reason"`
	Stopped *string           `json:"stop_sequence"`
	Usage   anthropicUsage    `json:"usage"`
}

type anthropicUsage struct {
	Input   int `json:"input_tokens"`
	Created int `json:"cache_creation_input_tokens"`
	Read    int `json:"cache_read_input_tokens"`
	Output  int `json:"output_tokens"`
}

func (s *Server) anthropicMessages(c *call) error {
	q := anthropicRequest{answer: true}
	t, err := s.begin(c, &q)
	if err != nil {
		return err
	}
	w := &anthropicWriter{talk: t, anthropicMessage: &anthropicMessage{ID: newID("msg_"), Type: "message", Role: "assistant", Model: t.model, Content: []*anthropicBlock{}}, out: s.events(c, q.Stream)}
	return t.tell(w, w.out)
}

// anthropicWriter builds an answer of pieces, and tells of each step where it is streamed.
type anthropicWriter struct {
	*talk
	*anthropicMessage
	out       *events // nil: not streamed
	began     bool
	open      *anthropicBlock
	arguments string // of the open block, if it is a call
	err       error
}

func (w *anthropicWriter) account() {
	u := w.usage()
	w.Usage = anthropicUsage{Input: u.Prompt - u.Details.Cached, Read: u.Details.Cached, Output: u.Completion}
}

func (w *anthropicWriter) take(i int, e *sched.Event) error {
	if !w.began {
		w.began = true
		w.account()
		w.emit("message_start", map[string]any{"message": w.anthropicMessage})
	}
	for _, p := range w.pieces(i, e) {
		w.piece(p)
	}
	if e.Finish != "" {
		reason := map[string]string{"stop": "end_turn", "length": "max_tokens"}[string(e.Finish)]
		switch {
		case e.Stopped != "":
			reason, w.Stopped = "stop_sequence", &e.Stopped
		case w.calls[i] > 0 && e.Finish == sched.FinishStop:
			reason = "tool_use"
		}
		w.Reason = &reason
	}
	return w.err
}

func (w *anthropicWriter) end() error {
	if len(w.Content) == 0 {
		w.piece(calls.Piece{})
	}
	w.close()
	w.account()
	if w.out == nil {
		return writeJSON(w.c.w, 200, w.anthropicMessage)
	}
	w.emit("message_delta", map[string]any{"delta": map[string]any{"stop_reason": w.Reason, "stop_sequence": w.Stopped}, "usage": w.Usage})
	w.emit("message_stop", map[string]any{})
	return w.err
}

func (w *anthropicWriter) fail(e *apiError) error { return w.out.send("error", anthropicError(e)) }

func (w *anthropicWriter) emit(kind string, v map[string]any) {
	if w.out != nil && w.err == nil {
		v["type"] = kind
		w.err = w.out.send(kind, v)
	}
}

// begin opens a block, unless one of its type is open.
func (w *anthropicWriter) begin(b *anthropicBlock) {
	if w.open != nil && w.open.Type == b.Type {
		return
	}
	w.close()
	w.open, w.Content = b, append(w.Content, b)
	w.emit("content_block_start", map[string]any{"index": len(w.Content) - 1, "content_block": b})
}

func (w *anthropicWriter) delta(v map[string]any) {
	w.emit("content_block_delta", map[string]any{"index": len(w.Content) - 1, "delta": v})
}

func (w *anthropicWriter) piece(p calls.Piece) {
	switch {
	case p.Call != nil:
		w.close()
		none := json.RawMessage("{}")
		w.begin(&anthropicBlock{Type: "tool_use", ID: newID("toolu_"), Name: p.Call.Name, Input: &none})
		if w.arguments = ""; p.Call.Arguments != "" {
			w.piece(calls.Piece{Arguments: p.Call.Arguments})
		}
	case p.Arguments != "":
		w.arguments += p.Arguments
		w.delta(map[string]any{"type": "input_json_delta", "partial_json": p.Arguments})
	case p.Reasoning != "":
		w.begin(&anthropicBlock{Type: "thinking", Thinking: new(string), Signature: new(string)})
		*w.open.Thinking += p.Reasoning
		w.delta(map[string]any{"type": "thinking_delta", "thinking": p.Reasoning})
	default:
		w.begin(&anthropicBlock{Type: "text", Text: new(string)})
		*w.open.Text += p.Text
		w.delta(map[string]any{"type": "text_delta", "text": p.Text})
	}
}

func (w *anthropicWriter) close() {
	if w.open != nil {
		if in := json.RawMessage(w.arguments); w.open.Type == "tool_use" && json.Valid(in) {
			w.open.Input = &in
		}
		w.open = nil
		w.emit("content_block_stop", map[string]any{"index": len(w.Content) - 1})
	}
}

// anthropicCount counts the tokens of a request.
func (s *Server) anthropicCount(c *call) error {
	var q anthropicRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	chat, err := q.chat()
	if err != nil {
		return err
	}
	n, err := s.count(c, chat)
	if err != nil {
		return err
	}
	return writeJSON(c.w, 200, map[string]int{"input_tokens": n})
}
