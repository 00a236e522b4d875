package serve

import (
	"encoding/json"
	"time"

	"qpt/runtime/lm/calls"
	"qpt/runtime/serve/sched"
)

// chatRequest is OpenAI's, with vLLM's further parameters.
type chatRequest struct {
	sampling
	constraints
	toolParams
	templating
	Messages      json.RawMessage `json:"messages"`
	MaxTokens     *int            `json:"max_tokens"`
	MaxCompletion *int            `json:"max_completion_tokens"`
	Logprobs      bool            `json:"logprobs"`
	TopLogprobs   *int            `json:"top_logprobs"`
	Effort        string          `json:"reasoning_effort"`
}

type chatLogprobs struct {
	Content []tokenLogprob `json:"content"`
	Refusal any            `json:"refusal"`
}

// chatMessage is the answer, or a piece of it.
type chatMessage struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content"`
	Refusal   any        `json:"refusal"`
	Reasoning string     `json:"reasoning_content,omitempty"` // as DeepSeek and llama-server call it
	Thought   string     `json:"reasoning,omitempty"`         // the same, as vLLM and OpenRouter do
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type chatChoice struct {
	Index    int              `json:"index"`
	Message  *chatMessage     `json:"message,omitempty"`
	Delta    *chatDelta       `json:"delta,omitempty"`
	Logprobs *chatLogprobs    `json:"logprobs"`
	Finish   *string          `json:"finish_reason"`
	Stopped  any              `json:"stop_reason,omitempty"`
	Prompt   []map[string]any `json:"prompt_logprobs,omitempty"`
	IDs      []int32          `json:"token_ids,omitempty"`
}

// chatDelta is a chatMessage in which what is missing has not changed.
type chatDelta struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"`
	Reasoning string     `json:"reasoning_content,omitempty"`
	Thought   string     `json:"reasoning,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type chatCompletion struct {
	ID      string        `json:"id"`
	Object  string        `json:"object"`
	Created int64         `json:"created"`
	Model   string        `json:"model"`
	Choices []*chatChoice `json:"choices"`
	Usage   *usage        `json:"usage"`
}

// chatForm is the request of an API for a chat: what it asks for as OpenAI's clients would.
type chatForm interface{ chat() (*chatRequest, error) }

func (q *chatRequest) chat() (*chatRequest, error) { return q, nil }

// talk is a chat under way, whatever API asked for it.
type talk struct {
	*job
	model string // as the request calls it
	tools *toolSet
	parts []*calls.Reader // by choice
	calls []int           // made so far, by choice
	held  []int           // tokens, by choice, of which no piece has come yet
}

// begin reads the request of a chat into q and submits it.
func (s *Server) begin(c *call, q chatForm) (*talk, error) {
	if err := decode(c.body, q); err != nil {
		return nil, err
	}
	chat, err := q.chat()
	if err != nil {
		return nil, err
	}
	return s.startChat(c, chat)
}

// startChat submits a chat.
func (s *Server) startChat(c *call, q *chatRequest) (*talk, error) {
	m, err := s.generator(q.Model)
	if err != nil {
		return nil, err
	}
	limit := q.MaxCompletion
	if limit == nil {
		limit = q.MaxTokens
	}
	switch err := q.check(); {
	case err != nil:
		return nil, err
	case limit != nil && *limit < 1:
		return nil, refuse("max_tokens", "max_tokens %d: must be at least 1", *limit)
	case q.TopLogprobs != nil && (*q.TopLogprobs < 0 || *q.TopLogprobs > maxTop):
		return nil, refuse("top_logprobs", "top_logprobs %d: must be 0 to %d", *q.TopLogprobs, maxTop)
	case q.TopLogprobs != nil && *q.TopLogprobs > 0 && !q.Logprobs:
		return nil, refuse("top_logprobs", "top_logprobs without logprobs")
	case q.Messages == nil:
		return nil, refuse("messages", "messages are missing")
	}
	t := &talk{model: m.as(q.Model)}
	if t.tools, err = q.toolParams.tools(); err != nil {
		return nil, err
	}
	if err := q.templating.effort(m, q.Effort); err != nil {
		return nil, err
	}
	p, err := m.chatPrompt(c, q.Messages, t.tools.raw, &q.templating)
	if err != nil {
		return nil, err
	}
	read := m.reading(t.tools)
	read.Inside = p.thinking
	constraint, err := m.constraint(&q.constraints, &read, t.tools)
	if err != nil {
		return nil, err
	}
	n := 0
	if limit != nil {
		n = *limit
	}
	r, err := q.request(c, p.ids, n)
	if err != nil {
		return nil, err
	}
	if q.Logprobs {
		r.Logprobs = 1
		if q.TopLogprobs != nil {
			r.Logprobs += *q.TopLogprobs
		}
	}
	r.Text.Visible = read.Special()
	if t.job, err = s.start(c, m, []*sched.Request{r}, q.choices(), constraint); err != nil {
		return nil, err
	}
	t.calls, t.held = make([]int, len(t.streams)), make([]int, len(t.streams))
	for range t.streams {
		t.parts = append(t.parts, calls.NewReader(read))
	}
	return t, nil
}

// pieces takes an event of a choice apart.
func (t *talk) pieces(i int, e *sched.Event) []calls.Piece {
	list := t.parts[i].Next(e.Text)
	if e.Finish != "" {
		list = append(list, t.parts[i].End()...)
	}
	if e.ID >= 0 {
		t.held[i]++
	}
	if len(list) > 0 {
		if list[0].Reasoning != "" {
			t.reasoning += t.held[i]
		}
		t.held[i] = 0
	}
	for _, p := range list {
		if p.Call != nil {
			t.calls[i]++
		}
	}
	return list
}

// finish is why a choice ended, in OpenAI's words.
func (t *talk) finish(i int, f sched.Finish) string {
	if f == sched.FinishStop && t.calls[i] > 0 && !t.tools.named {
		return "tool_calls"
	}
	return string(f)
}

// newCall words a call; what a stream goes on with has the index only.
func newCall(p *calls.Call) toolCall {
	t := toolCall{ID: newID("call_"), Type: "function"}
	t.Function.Name = p.Name
	t.Function.Arguments, _ = json.Marshal(p.Arguments)
	return t
}

func (s *Server) chatCompletions(c *call) error {
	var q chatRequest
	t, err := s.begin(c, &q)
	if err != nil {
		return err
	}
	answer := &chatCompletion{ID: newID("chatcmpl-"), Object: "chat.completion", Created: time.Now().Unix(), Model: t.model}
	if q.Stream {
		return s.streamChat(t, &q, answer)
	}
	parts := make([][]calls.Piece, len(t.streams))
	for i := range t.streams {
		answer.Choices = append(answer.Choices, &chatChoice{Index: i, Message: &chatMessage{Role: "assistant"}})
	}
	for i, e := range t.events() {
		if e.Err != nil {
			return e.Err
		}
		ch := answer.Choices[i]
		ch.take(t.m, &q, &e)
		parts[i] = calls.Join(append(parts[i], t.pieces(i, &e)...))
		if e.Finish != "" {
			ch.Message.fill(parts[i])
			f := t.finish(i, e.Finish)
			ch.Finish = &f
		}
	}
	answer.Usage = t.usage()
	return writeJSON(c.w, 200, answer)
}

// fill takes in an answer. The content is null where there are calls and no text.
func (m *chatMessage) fill(parts []calls.Piece) {
	text := ""
	for _, p := range parts {
		if p.Call != nil {
			m.ToolCalls = append(m.ToolCalls, newCall(p.Call))
		}
		m.Reasoning += p.Reasoning
		text += p.Text
	}
	m.Thought = m.Reasoning
	if text != "" || len(m.ToolCalls) == 0 {
		m.Content = &text
	}
}

// take adds what a token brings besides its text.
func (ch *chatChoice) take(m *model, q *chatRequest, e *sched.Event) {
	if e.Logprob != nil {
		if ch.Logprobs == nil {
			ch.Logprobs = &chatLogprobs{}
		}
		ch.Logprobs.Content = append(ch.Logprobs.Content, m.chatLogprob(e.Logprob))
	}
	if q.ReturnTokenIDs && e.ID >= 0 {
		ch.IDs = append(ch.IDs, e.ID)
	}
	if e.Prompt != nil {
		ch.Prompt = m.promptLogprobs(e.Prompt)
	}
	if e.Stopped != "" {
		ch.Stopped = e.Stopped
	}
}

// fill takes in a piece of an answer, before which so many calls were made.
func (d *chatDelta) fill(parts []calls.Piece, made int) {
	for _, p := range calls.Join(parts) {
		switch {
		case p.Call != nil:
			index := made
			made++
			c := newCall(p.Call)
			c.Index = &index
			d.ToolCalls = append(d.ToolCalls, c)
		case p.Arguments != "":
			index := made - 1
			c := toolCall{Index: &index}
			c.Function.Arguments, _ = json.Marshal(p.Arguments)
			d.ToolCalls = append(d.ToolCalls, c)
		case p.Reasoning != "":
			d.Reasoning += p.Reasoning
			d.Thought = d.Reasoning
		default:
			if d.Content == nil {
				d.Content = new(string)
			}
			*d.Content += p.Text
		}
	}
}

func (s *Server) streamChat(t *talk, q *chatRequest, chunk *chatCompletion) error {
	chunk.Object = "chat.completion.chunk"
	out := s.events(t.c)
	began := make([]bool, len(t.streams))
	send := func(ch *chatChoice) error {
		if !began[ch.Index] {
			began[ch.Index] = true
			ch.Delta.Role = "assistant"
			if ch.Delta.Content == nil && ch.Delta.ToolCalls == nil {
				ch.Delta.Content = new(string)
			}
		}
		chunk.Choices = []*chatChoice{ch}
		if q.usage() && q.StreamOptions.ContinuousUsage {
			chunk.Usage = t.usage()
		}
		return out.send("", chunk)
	}
	for i, e := range t.events() {
		if e.Err != nil {
			return out.fail(e.Err, "", openAIError)
		}
		ch := &chatChoice{Index: i, Delta: &chatDelta{}}
		ch.take(t.m, q, &e)
		made := t.calls[i]
		ch.Delta.fill(t.pieces(i, &e), made)
		if e.Finish != "" {
			f := t.finish(i, e.Finish)
			ch.Finish = &f
		}
		d := ch.Delta
		if d.Content == nil && d.Reasoning == "" && d.ToolCalls == nil && ch.Finish == nil && ch.Logprobs == nil && ch.IDs == nil && ch.Prompt == nil {
			continue
		}
		if err := send(ch); err != nil {
			return err
		}
	}
	if q.usage() {
		chunk.Choices, chunk.Usage = []*chatChoice{}, t.usage()
		if err := out.send("", chunk); err != nil {
			return err
		}
	}
	return out.done()
}
