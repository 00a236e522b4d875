package serve

import (
	"encoding/json"
	"slices"
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
	Index    int           `json:"index"`
	Message  *chatMessage  `json:"message,omitempty"`
	Delta    *chatDelta    `json:"delta,omitempty"`
	Logprobs *chatLogprobs `json:"logprobs"`
	Finish   *string       `json:"finish_reason"`
	Stopped  any           `json:"stop_reason,omitempty"`
	IDs      []int32       `json:"token_ids,omitempty"`
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
	System  string        `json:"system_fingerprint"`
	Choices []*chatChoice `json:"choices"`
	Usage   *usage        `json:"usage"`
	// The prompt, which all choices share; in a stream with the first piece.
	Prompt []map[string]any `json:"prompt_logprobs,omitempty"`
	Asked  []int32          `json:"prompt_token_ids,omitempty"`
}

// chatForm is the request of an API for a chat: what it asks for as OpenAI's clients would.
type chatForm interface{ chat() (*chatRequest, error) }

func (q *chatRequest) chat() (*chatRequest, error) { return q, nil }

// talk is a chat under way, whatever API asked for it.
type talk struct {
	*job
	model  string // as the request calls it
	prompt []int32
	tools  *toolSet
	parts  []*calls.Reader // by choice
	calls  []int           // made so far, by choice
	held   []int           // tokens, by choice, of which no piece has come yet
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
	if err := q.check(); err != nil {
		return nil, err
	}
	if q.Messages == nil {
		return nil, refuse("messages", "messages are missing")
	}
	t := &talk{model: m.as(q.Model)}
	if t.tools, err = q.toolParams.tools(); err != nil {
		return nil, err
	}
	c.cut = q.Truncate != nil
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
	r, err := q.request(c, m, p.ids)
	if err != nil {
		return nil, err
	}
	r.Text.Visible, t.prompt = read.Special(), r.Prompt
	if t.job, err = s.start(c, m, []*sched.Request{r}, q.choices(), constraint); err != nil {
		return nil, err
	}
	t.calls, t.held = make([]int, len(t.streams)), make([]int, len(t.streams))
	for range t.streams {
		t.parts = append(t.parts, calls.NewReader(read))
	}
	return t, nil
}

// count is the number of tokens of a chat's prompt.
func (s *Server) count(c *call, q *chatRequest) (int, error) {
	m, err := s.generator(q.Model)
	if err != nil {
		return 0, err
	}
	tools, err := q.toolParams.tools()
	if err != nil {
		return 0, err
	}
	p, err := m.chatPrompt(c, q.Messages, tools.raw, &q.templating)
	if err != nil {
		return 0, err
	}
	return len(p.ids), nil
}

// check refuses values out of range.
func (q *chatRequest) check() error {
	if q.MaxCompletion == nil {
		q.MaxCompletion = q.MaxTokens
	}
	switch {
	case q.MaxCompletion != nil && *q.MaxCompletion < 1:
		return refuse("max_tokens", "max_tokens %d: must be at least 1", *q.MaxCompletion)
	case q.TopLogprobs != nil && (*q.TopLogprobs < 0 || *q.TopLogprobs > maxTop):
		return refuse("top_logprobs", "top_logprobs %d: must be 0 to %d", *q.TopLogprobs, maxTop)
	case q.TopLogprobs != nil && *q.TopLogprobs > 0 && !q.Logprobs:
		return refuse("top_logprobs", "top_logprobs without logprobs")
	}
	return q.sampling.check()
}

// request makes what the scheduler takes, for the first choice.
func (q *chatRequest) request(c *call, m *model, ids []int32) (*sched.Request, error) {
	n := 0
	if q.MaxCompletion != nil {
		n = *q.MaxCompletion
	}
	r, err := q.sampling.request(c, m, ids, n)
	if err == nil && q.Logprobs {
		r.Logprobs = 1
		if q.TopLogprobs != nil {
			r.Logprobs += *q.TopLogprobs
		}
	}
	return r, err
}

// pieces takes an event of a choice apart.
func (t *talk) pieces(i int, e *sched.Event) []calls.Piece {
	list := t.parts[i].Next(e.Text)
	if e.Finish != "" {
		rest := t.parts[i].End()
		if t.tools.forced { // the beginning of a call that is cut off is no text
			rest = slices.DeleteFunc(rest, func(p calls.Piece) bool { return p.Text != "" })
		}
		list = append(list, rest...)
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
	w := &chatWriter{answer: &chatCompletion{ID: newID("chatcmpl-"), Object: "chat.completion", Created: time.Now().Unix()}}
	var err error
	if w.talk, err = s.begin(c, &w.q); err != nil {
		return err
	}
	w.answer.Model, w.answer.System = w.model, w.m.fingerprint
	if w.q.ReturnTokenIDs {
		w.answer.Asked = w.prompt
	}
	if w.out = s.events(c, w.q.Stream); w.out != nil {
		w.answer.Object = "chat.completion.chunk"
	}
	w.parts = make([][]calls.Piece, len(w.streams))
	for i := range w.streams {
		w.choices = append(w.choices, &chatChoice{Index: i, Message: &chatMessage{Role: "assistant"}})
	}
	return w.tell(w, w.out)
}

// chatWriter answers a chat in OpenAI's form.
type chatWriter struct {
	*talk
	q       chatRequest
	out     *events // nil: not streamed
	answer  *chatCompletion
	choices []*chatChoice
	parts   [][]calls.Piece // of a whole answer, by choice
}

func (w *chatWriter) take(i int, e *sched.Event) error {
	ch := w.choices[i]
	if ch.take(w.m, &w.q, e); e.Prompt != nil && w.answer.Prompt == nil {
		w.answer.Prompt = w.m.promptLogprobs(e.Prompt)
	}
	made := w.calls[i]
	list := w.pieces(i, e)
	if e.Finish != "" {
		f := w.finish(i, e.Finish)
		ch.Finish = &f
	}
	if w.out == nil {
		if w.parts[i] = calls.Join(append(w.parts[i], list...)); e.Finish != "" {
			ch.Message.fill(w.parts[i])
		}
		return nil
	}
	d := &chatDelta{}
	d.fill(list, made)
	if d.Content == nil && d.Reasoning == "" && d.ToolCalls == nil && ch.Finish == nil && ch.Logprobs == nil && ch.IDs == nil {
		return nil
	}
	if ch.Message != nil { // the first of this choice
		d.Role, ch.Message = ch.Message.Role, nil
		if d.Content == nil && d.ToolCalls == nil {
			d.Content = new(string)
		}
	}
	ch.Delta, w.choices[i] = d, &chatChoice{Index: i}
	w.answer.Choices = []*chatChoice{ch}
	if w.q.usage() && w.q.StreamOptions.ContinuousUsage {
		w.answer.Usage = w.usage()
	}
	err := w.out.send("", w.answer)
	w.answer.Prompt, w.answer.Asked = nil, nil
	return err
}

func (w *chatWriter) end() error {
	if w.out == nil {
		w.answer.Choices, w.answer.Usage = w.choices, w.usage()
		return writeJSON(w.c.w, 200, w.answer)
	}
	if w.q.usage() {
		w.answer.Choices, w.answer.Usage = []*chatChoice{}, w.usage()
		if err := w.out.send("", w.answer); err != nil {
			return err
		}
	}
	return w.out.done()
}

func (w *chatWriter) fail(e *apiError) error { return w.out.send("", openAIError(e)) }

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
		ch.Logprobs.Content = append(ch.Logprobs.Content, m.chatLogprob(e.Logprob, q.TokensAsIDs))
	}
	if q.ReturnTokenIDs && e.ID >= 0 {
		ch.IDs = append(ch.IDs, e.ID)
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
