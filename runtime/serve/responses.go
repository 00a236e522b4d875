package serve

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"qpt/runtime/lm/calls"
	"qpt/runtime/serve/sched"
)

// responsesRequest is that of OpenAI's responses API: a conversation, or how one goes on.
type responsesRequest struct {
	Model        string            `json:"model"`
	Input        json.RawMessage   `json:"input"`
	Instructions string            `json:"instructions"`
	MaxTokens    *int              `json:"max_output_tokens"`
	Temperature  *float64          `json:"temperature"`
	TopP         *float64          `json:"top_p"`
	Stream       bool              `json:"stream"`
	Previous     string            `json:"previous_response_id"`
	Background   bool              `json:"background"`
	Seed         json.RawMessage   `json:"seed"`
	Store        *bool             `json:"store"`
	Metadata     map[string]string `json:"metadata"`
	Truncation   string            `json:"truncation"`
	Conversation json.RawMessage   `json:"conversation"`
	Stored       json.RawMessage   `json:"prompt"` // a template of OpenAI's
	Include      []string          `json:"include"`
	TopLogprobs  *int              `json:"top_logprobs"`
	Reasoning    struct {
		Effort *string `json:"effort"`
	} `json:"reasoning"`
	Text struct {
		Format json.RawMessage `json:"format,omitempty"`
	} `json:"text"`
	toolParams

	before, input []json.RawMessage // items of the conversation: of earlier responses, and of this request
}

// response is the answer.
type response struct {
	ID           string            `json:"id"`
	Object       string            `json:"object"`
	Created      int64             `json:"created_at"`
	Status       string            `json:"status"`
	Error        any               `json:"error"`
	Incomplete   any               `json:"incomplete_details"`
	Instructions any               `json:"instructions"`
	MaxTokens    *int              `json:"max_output_tokens"`
	Metadata     map[string]string `json:"metadata"`
	Model        string            `json:"model"`
	Previous     *string           `json:"previous_response_id"`
	Reasoning    any               `json:"reasoning"`
	Store        bool              `json:"store"`
	Text         any               `json:"text"`
	Truncation   string            `json:"truncation"`
	Output       []*responseItem   `json:"output"`
	Parallel     bool              `json:"parallel_tool_calls"`
	Temperature  float64           `json:"temperature"`
	TopP         float64           `json:"top_p"`
	Choice       any               `json:"tool_choice"`
	Tools        json.RawMessage   `json:"tools"`
	Usage        *responseUsage    `json:"usage"`
}

type responseUsage struct {
	Input        int            `json:"input_tokens"`
	InputDetails map[string]int `json:"input_tokens_details"`
	Output       int            `json:"output_tokens"`
	Details      map[string]int `json:"output_tokens_details"`
	Total        int            `json:"total_tokens"`
}

// responseItem is a message, a reasoning, or a call of a function.
type responseItem struct {
	ID        string         `json:"id"`
	Type      string         `json:"type"`
	Status    string         `json:"status,omitempty"`
	Role      string         `json:"role,omitempty"`
	Content   []responsePart `json:"content,omitzero"`
	Summary   []responsePart `json:"summary,omitzero"`
	CallID    string         `json:"call_id,omitempty"`
	Name      string         `json:"name,omitempty"`
	Arguments *string        `json:"arguments,omitempty"`
}

type responsePart struct {
	Type        string         `json:"type"`
	Text        string         `json:"text"`
	Annotations []any          `json:"annotations,omitzero"`
	Logprobs    []tokenLogprob `json:"logprobs,omitzero"`
}

// chat is the same request to the chat endpoint.
func (q *responsesRequest) chat() (*chatRequest, error) {
	if q.Background {
		return nil, refuse("background", "background is not supported: wait for the response, or stream it")
	}
	switch {
	case q.Conversation != nil:
		return nil, refuse("conversation", "conversation is not supported: previous_response_id goes on with a response")
	case q.Stored != nil:
		return nil, refuse("prompt", "prompt is not supported: there are no stored prompts here")
	case q.Truncation != "" && q.Truncation != "auto" && q.Truncation != "disabled":
		return nil, refuse("truncation", "truncation %.40q: must be auto or disabled", q.Truncation)
	case q.MaxTokens != nil && *q.MaxTokens < 1:
		return nil, refuse("max_output_tokens", "max_output_tokens %d: must be at least 1", *q.MaxTokens)
	}
	list, err := responseMessages(slices.Concat(q.before, q.input))
	if err != nil {
		return nil, err
	}
	if q.Instructions != "" {
		text, _ := json.Marshal(q.Instructions)
		list = append([]message{{Role: "system", Content: text}}, list...)
	}
	r := &chatRequest{MaxTokens: q.MaxTokens, toolParams: q.toolParams, TopLogprobs: q.TopLogprobs}
	r.Logprobs = q.TopLogprobs != nil && *q.TopLogprobs > 0 || slices.Contains(q.Include, "message.output_text.logprobs")
	if q.Reasoning.Effort != nil {
		r.Effort = *q.Reasoning.Effort
	}
	r.Model, r.Temperature, r.TopP, r.Seed, r.Stream = q.Model, q.Temperature, q.TopP, q.Seed, q.Stream
	if r.Messages, err = json.Marshal(list); err != nil {
		return nil, err
	}
	if r.Tools, err = responseTools(q.Tools); err != nil {
		return nil, err
	}
	return r, r.responseFormat("text", q.Text.Format)
}

// responseFormat brings the format of another API, in which a schema lies flat, into the form of response_format.
func (r *chatRequest) responseFormat(param string, format json.RawMessage) error {
	if format == nil {
		return nil
	}
	var f struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(format, &f); err != nil {
		return refuse(param, "the format of %s must be an object", param)
	}
	if f.Type == "text" {
		return nil
	}
	whole := map[string]any{"type": f.Type}
	if f.Type == "json_schema" {
		whole["json_schema"] = format
	}
	data, err := json.Marshal(whole)
	if err == nil {
		err = json.Unmarshal(data, &r.Format)
	}
	return err
}

// responseTools brings tools, in which functions lie flat, into the form of chats.
func responseTools(raw json.RawMessage) (json.RawMessage, error) {
	var items []json.RawMessage
	if raw == nil {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, refuse("tools", "tools must be a list")
	}
	list := make([]map[string]any, 0, len(items))
	for i, item := range items {
		var f struct {
			Type        string          `json:"type"`
			Name        string          `json:"name"`
			Description string          `json:"description,omitempty"`
			Parameters  json.RawMessage `json:"parameters,omitempty"`
			Strict      bool            `json:"strict,omitempty"`
		}
		if err := json.Unmarshal(item, &f); err != nil || f.Type != "function" {
			return nil, refuse("tools", "tool %d: only functions are supported", i)
		}
		f.Type = ""
		data, err := json.Marshal(f)
		if err != nil {
			return nil, err
		}
		list = append(list, map[string]any{"type": "function", "function": json.RawMessage(data)})
	}
	return json.Marshal(list)
}

// responseItems are the items of an input: a text, or a list of messages, calls and their results. All have an id and a type.
func responseItems(raw json.RawMessage) ([]json.RawMessage, error) {
	var text string
	var items []json.RawMessage
	switch {
	case raw == nil:
		return nil, refuse("input", "input is missing")
	case json.Unmarshal(raw, &text) == nil:
		items = []json.RawMessage{fmt.Appendf(nil, `{"role":"user","content":[{"type":"input_text","text":%s}]}`, raw)}
	case json.Unmarshal(raw, &items) != nil || len(items) == 0:
		return nil, refuse("input", "input must be a text or a list of items")
	}
	for i, item := range items {
		var fields map[string]json.RawMessage
		if json.Unmarshal(item, &fields) != nil || fields == nil {
			return nil, refuse("input", "item %d must be an object", i)
		}
		for key, value := range map[string]string{"type": "message", "id": newID("msg_")} {
			if fields[key] == nil {
				fields[key] = fmt.Appendf(nil, "%q", value)
			}
		}
		var err error
		if items[i], err = json.Marshal(fields); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// responseMessages makes messages of a conversation's items.
func responseMessages(items []json.RawMessage) (list []message, err error) {
	for i, item := range items {
		var v struct {
			message
			Type      string          `json:"type"`
			CallID    string          `json:"call_id"`
			Arguments json.RawMessage `json:"arguments"`
			Output    json.RawMessage `json:"output"`
		}
		if err := decode(item, &v); err != nil {
			return nil, refuse("input", "item %d: %s", i, err)
		}
		switch v.Type {
		case "", "message":
			list = append(list, v.message)
		case "function_call":
			t := toolCall{ID: v.CallID, Type: "function"}
			t.Function.Name, t.Function.Arguments = v.Name, v.Arguments
			if n := len(list); n > 0 && list[n-1].Role == "assistant" {
				list[n-1].ToolCalls = append(list[n-1].ToolCalls, t)
			} else {
				list = append(list, message{Role: "assistant", ToolCalls: []toolCall{t}})
			}
		case "function_call_output":
			list = append(list, message{Role: "tool", Content: v.Output, CallID: v.CallID})
		case "reasoning": // of an earlier answer: templates leave it out
		default:
			return nil, refuse("input", "item %d: type %.40q is not supported", i, v.Type)
		}
	}
	return list, nil
}

// readResponse reads the request of a response, and makes it one of a chat.
func (s *Server) readResponse(c *call) (*responsesRequest, *chatRequest, error) {
	var q responsesRequest
	c.names = map[string]string{"messages": "input", "response_format": "text", "max_tokens": "max_output_tokens"}
	err := decode(c.body, &q)
	if err == nil {
		q.input, err = responseItems(q.Input)
	}
	if err == nil && q.Previous != "" {
		q.before, err = s.kept.conversation(c.key, q.Previous)
	}
	if err != nil {
		return nil, nil, err
	}
	chat, err := q.chat()
	return &q, chat, err
}

// responsesCount counts the tokens of a request.
func (s *Server) responsesCount(c *call) error {
	_, chat, err := s.readResponse(c)
	if err != nil {
		return err
	}
	n, err := s.count(c, chat)
	if err != nil {
		return err
	}
	return writeJSON(c.w, 200, map[string]any{"object": "response.input_tokens", "input_tokens": n})
}

func (s *Server) responses(c *call) error {
	q, chat, err := s.readResponse(c)
	if err != nil {
		return err
	}
	t, err := s.startChat(c, chat)
	if err != nil {
		return err
	}
	r := &response{
		ID: newID("resp_"), Object: "response", Created: time.Now().Unix(), Status: "in_progress", Metadata: map[string]string{}, Model: t.model, MaxTokens: q.MaxTokens,
		Output: []*responseItem{}, Parallel: !t.tools.single, Temperature: 1, TopP: 1, Choice: "auto", Tools: json.RawMessage("[]"),
		Reasoning: map[string]any{"effort": q.Reasoning.Effort, "summary": nil}, Store: q.Store == nil || *q.Store, Text: map[string]any{"format": map[string]string{"type": "text"}}, Truncation: "disabled",
	}
	if q.Instructions != "" {
		r.Instructions = q.Instructions
	}
	if q.Previous != "" {
		r.Previous = &q.Previous
	}
	if q.Metadata != nil {
		r.Metadata = q.Metadata
	}
	if q.Temperature != nil {
		r.Temperature = *q.Temperature
	}
	if q.TopP != nil {
		r.TopP = *q.TopP
	}
	if q.Text.Format != nil {
		r.Text = q.Text
	}
	if q.Choice != nil {
		r.Choice = q.Choice
	}
	if q.Tools != nil {
		r.Tools = q.Tools
	}
	w := &responseWriter{talk: t, response: r, q: q, kept: &s.kept, out: s.events(c, q.Stream)}
	return t.tell(w, w.out)
}

// responseWriter builds a response of pieces, and tells of each step where it is streamed.
type responseWriter struct {
	*talk
	*response
	q        *responsesRequest
	kept     *keptResponses
	out      *events // nil: not streamed
	n        int     // of events
	open     *responseItem
	logprobs []tokenLogprob // of tokens of which no piece has come yet
	err      error
}

func (w *responseWriter) take(i int, e *sched.Event) error {
	if e.Logprob != nil {
		w.logprobs = append(w.logprobs, w.m.chatLogprob(e.Logprob, false))
	}
	if w.n == 0 {
		w.emit("response.created", map[string]any{"response": w.response})
		w.emit("response.in_progress", map[string]any{"response": w.response})
	}
	for _, p := range w.pieces(i, e) {
		w.piece(p)
	}
	if e.Finish == sched.FinishLength {
		w.Status, w.Incomplete = "incomplete", map[string]string{"reason": "max_output_tokens"}
	}
	return w.err
}

func (w *responseWriter) end() error {
	if len(w.Output) == 0 {
		w.piece(calls.Piece{})
	}
	if w.Status == "in_progress" {
		w.Status = "completed"
	}
	w.open.Status = w.Status // of the last item, which may be cut
	w.close()
	u := w.usage()
	w.Usage = &responseUsage{u.Prompt, map[string]int{"cached_tokens": u.Details.Cached}, u.Completion, map[string]int{"reasoning_tokens": u.Output.Reasoning}, u.Total}
	if w.Store {
		if err := w.kept.keep(w.c.key, w.response, w.q); err != nil {
			return err
		}
	}
	if w.out == nil {
		return writeJSON(w.c.w, 200, w.response)
	}
	w.emit("response."+w.Status, map[string]any{"response": w.response})
	return w.err
}

func (w *responseWriter) fail(e *apiError) error {
	w.Status, w.Error = "failed", map[string]string{"code": "server_error", "message": e.message}
	w.emit("response.failed", map[string]any{"response": w.response})
	return w.err
}

// emit sends an event.
func (w *responseWriter) emit(kind string, v map[string]any) {
	if w.out == nil || w.err != nil {
		return
	}
	v["type"], v["sequence_number"] = kind, w.n
	w.n++
	w.err = w.out.send(kind, v)
}

// at are the fields that say which item an event is about.
func (w *responseWriter) at(more map[string]any) map[string]any {
	more["output_index"], more["item_id"] = len(w.Output)-1, w.open.ID
	return more
}

// begin opens a message or a reasoning, unless it is open.
func (w *responseWriter) begin(kind, id string) {
	if w.open != nil && w.open.Type == kind {
		return
	}
	w.close()
	w.open = &responseItem{ID: newID(id), Type: kind, Status: "in_progress"}
	w.open.Content = []responsePart{}
	part := responsePart{Type: "reasoning_text"}
	if kind == "message" {
		w.open.Role = "assistant"
		part = responsePart{Type: "output_text", Annotations: []any{}, Logprobs: []tokenLogprob{}}
	} else {
		w.open.Summary = []responsePart{}
	}
	w.added()
	w.open.Content = append(w.open.Content, part)
	w.emit("response.content_part.added", w.at(map[string]any{"content_index": 0, "part": w.open.Content[0]}))
}

// added tells of the open item, a new one.
func (w *responseWriter) added() {
	w.Output = append(w.Output, w.open)
	w.emit("response.output_item.added", map[string]any{"output_index": len(w.Output) - 1, "item": w.open})
}

func (w *responseWriter) piece(p calls.Piece) {
	logprobs := w.logprobs
	w.logprobs = nil
	switch {
	case p.Call != nil:
		w.close()
		w.open = &responseItem{ID: newID("fc_"), Type: "function_call", Status: "in_progress", CallID: newID("call_"), Name: p.Call.Name, Arguments: new(string)}
		if w.added(); p.Call.Arguments != "" {
			w.piece(calls.Piece{Arguments: p.Call.Arguments})
		}
	case p.Arguments != "":
		*w.open.Arguments += p.Arguments
		w.emit("response.function_call_arguments.delta", w.at(map[string]any{"delta": p.Arguments}))
	case p.Reasoning != "":
		w.begin("reasoning", "rs_")
		w.open.Content[0].Text += p.Reasoning
		w.emit("response.reasoning_text.delta", w.at(map[string]any{"content_index": 0, "delta": p.Reasoning}))
	default:
		w.begin("message", "msg_")
		part := &w.open.Content[0]
		part.Text += p.Text
		part.Logprobs = append(part.Logprobs, logprobs...)
		w.emit("response.output_text.delta", w.at(map[string]any{"content_index": 0, "delta": p.Text, "logprobs": append([]tokenLogprob{}, logprobs...)}))
	}
}

// close ends the open item.
func (w *responseWriter) close() {
	if w.open == nil {
		return
	}
	if w.open.Status == "in_progress" {
		w.open.Status = "completed"
	}
	if w.open.Type == "function_call" {
		w.emit("response.function_call_arguments.done", w.at(map[string]any{"name": w.open.Name, "arguments": *w.open.Arguments}))
	} else {
		kind := map[string]string{"message": "response.output_text.done", "reasoning": "response.reasoning_text.done"}[w.open.Type]
		w.emit(kind, w.at(map[string]any{"content_index": 0, "text": w.open.Content[0].Text, "logprobs": append([]tokenLogprob{}, w.open.Content[0].Logprobs...)}))
		w.emit("response.content_part.done", w.at(map[string]any{"content_index": 0, "part": w.open.Content[0]}))
	}
	w.emit("response.output_item.done", map[string]any{"output_index": len(w.Output) - 1, "item": w.open})
	w.open = nil
}
