package serve

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"qpt/runtime/lm/calls"
	"qpt/runtime/serve/sched"
)

// ollamaError words errors as Ollama's clients expect them.
func ollamaError(e *apiError) any { return map[string]string{"error": e.message} }

// ollamaVersion is the release of Ollama whose API this follows: clients refuse too early ones.
const ollamaVersion = "0.14.0"

// ollamaRequest is that of /api/chat and /api/generate.
type ollamaRequest struct {
	Model    string          `json:"model"`
	Messages json.RawMessage `json:"messages"`
	Prompt   string          `json:"prompt"`
	System   string          `json:"system"`
	Suffix   string          `json:"suffix"`
	Raw      bool            `json:"raw"`
	Images   json.RawMessage `json:"images"`
	Stream   *bool           `json:"stream"`
	Format   json.RawMessage `json:"format"`
	Tools    json.RawMessage `json:"tools"`
	Think    json.RawMessage `json:"think"` // whether, or how much: "low", "medium", "high"
	Options  json.RawMessage `json:"options"`
	Logprobs bool            `json:"logprobs"`
	Top      *int            `json:"top_logprobs"`
	Template string          `json:"template"`
	Context  json.RawMessage `json:"context"`
}

type ollamaOptions struct {
	NumPredict       *int            `json:"num_predict"`
	Temperature      *float64        `json:"temperature"`
	TopP             *float64        `json:"top_p"`
	TopK             int             `json:"top_k"`
	MinP             float64         `json:"min_p"`
	Seed             json.RawMessage `json:"seed"`
	Stop             texts           `json:"stop"`
	RepeatPenalty    *float64        `json:"repeat_penalty"`
	PresencePenalty  float64         `json:"presence_penalty"`
	FrequencyPenalty float64         `json:"frequency_penalty"`
}

// ollamaMessage is a message in Ollama's form, where arguments are an object.
type ollamaMessage struct {
	Role      string           `json:"role"`
	Content   string           `json:"content"`
	Thinking  string           `json:"thinking,omitempty"`
	ToolCalls []ollamaToolCall `json:"tool_calls,omitempty"`
	logprobs  []tokenLogprob
}

type ollamaToolCall struct {
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// call adds a call, if it is one.
func (m *ollamaMessage) call(c *calls.Call) {
	if c == nil {
		return
	}
	var t ollamaToolCall
	t.Function.Name, t.Function.Arguments = c.Name, json.RawMessage("{}")
	if args := []byte(c.Arguments); json.Valid(args) { // they were not cut
		t.Function.Arguments = args
	}
	m.ToolCalls = append(m.ToolCalls, t)
}

// ollamaAnswer is the answer, or a piece of it.
type ollamaAnswer struct {
	Model    string         `json:"model"`
	Created  time.Time      `json:"created_at"`
	Message  *ollamaMessage `json:"message,omitempty"`
	Response *string        `json:"response,omitempty"`
	Thinking string         `json:"thinking,omitempty"` // of generate
	Done     bool           `json:"done"`
	Reason   string         `json:"done_reason,omitempty"`
	Logprobs []tokenLogprob `json:"logprobs,omitempty"`
	*ollamaTimes
}

// ollamaTimes are in nanoseconds.
type ollamaTimes struct {
	Total      time.Duration `json:"total_duration"`
	Load       time.Duration `json:"load_duration"`
	Prompt     int           `json:"prompt_eval_count"`
	PromptTime time.Duration `json:"prompt_eval_duration"`
	Count      int           `json:"eval_count"`
	Time       time.Duration `json:"eval_duration"`
}

// ollamaModel is what a client calls a model, without the tag that it adds.
func ollamaModel(name string) string { return strings.TrimSuffix(name, ":latest") }

// chat is the same request to the chat endpoint.
func (q *ollamaRequest) chat() (*chatRequest, error) {
	if q.Images != nil && string(q.Images) != "[]" {
		return nil, refuse("images", "images are not supported: only texts are")
	}
	var o ollamaOptions
	if q.Options != nil {
		if err := decode(q.Options, &o); err != nil {
			return nil, refuse("options", "options: %s", err)
		}
	}
	if q.Template != "" || q.Context != nil && string(q.Context) != "[]" {
		return nil, refuse("template", "template and context are not supported: the model's own template is used, and /api/chat takes a conversation")
	}
	r := &chatRequest{Logprobs: q.Logprobs, TopLogprobs: q.Top}
	r.Model, r.Tools = ollamaModel(q.Model), q.Tools
	var err error
	if r.Messages, err = ollamaMessages(q.Messages); err != nil {
		return nil, err
	}
	r.Temperature, r.TopP, r.TopK, r.MinP, r.Seed, r.Stop = o.Temperature, o.TopP, o.TopK, o.MinP, o.Seed, o.Stop
	r.RepetitionPenalty, r.PresencePenalty, r.FrequencyPenalty = o.RepeatPenalty, o.PresencePenalty, o.FrequencyPenalty
	if o.NumPredict != nil && *o.NumPredict > 0 { // others: until the end
		r.MaxTokens = o.NumPredict
	}
	var think bool
	switch {
	case q.Think == nil:
	case json.Unmarshal(q.Think, &r.Effort) == nil && slices.Contains([]string{"low", "medium", "high"}, r.Effort):
	case json.Unmarshal(q.Think, &think) != nil:
		return nil, refuse("think", `think must be true, false, "low", "medium" or "high"`)
	default:
		r.think(think)
	}
	var word string
	switch {
	case q.Format == nil || json.Unmarshal(q.Format, &word) == nil && word == "":
		return r, nil
	case word == "json":
		return r, r.responseFormat("format", json.RawMessage(`{"type": "json_object"}`))
	case word != "":
		return nil, refuse("format", `format must be "json" or a schema`)
	}
	format, err := json.Marshal(map[string]any{"type": "json_schema", "name": "format", "schema": q.Format})
	if err != nil {
		return nil, err
	}
	return r, r.responseFormat("format", format)
}

// ollamaMessages brings messages into the form of chats, where thoughts and tools have other names.
func ollamaMessages(raw json.RawMessage) (json.RawMessage, error) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return raw, nil // an error of the chat
	}
	list := make([]message, len(items))
	for i, item := range items {
		var v struct {
			message
			Thinking string            `json:"thinking"`
			ToolName string            `json:"tool_name"`
			Images   []json.RawMessage `json:"images"`
		}
		if err := decode(item, &v); err != nil {
			return nil, refuse("messages", "message %d: %s", i, err)
		}
		if len(v.Images) > 0 {
			return nil, refuse("messages", "message %d: images are not supported: only texts are", i)
		}
		list[i] = v.message
		list[i].Reasoning, list[i].Name = cmp.Or(v.Reasoning, v.Thinking), cmp.Or(v.Name, v.ToolName)
	}
	return json.Marshal(list)
}

// ollamaLoad answers a request without a text: it asks for nothing but that the model be loaded.
func (s *Server) ollamaLoad(c *call, name string, message *ollamaMessage) error {
	if _, err := s.generator(ollamaModel(name)); err != nil {
		return err
	}
	a := &ollamaAnswer{Model: name, Created: time.Now().UTC(), Message: message, Done: true, Reason: "load"}
	if message == nil {
		a.Response = new(string)
	}
	return writeJSON(c.w, 200, a)
}

func (s *Server) ollamaChat(c *call) error {
	var q ollamaRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	if q.Messages == nil || string(q.Messages) == "[]" {
		return s.ollamaLoad(c, q.Model, &ollamaMessage{Role: "assistant"})
	}
	t, err := s.begin(c, &q)
	if err != nil {
		return err
	}
	return s.ollamaAnswer(c, &q, t, false)
}

// ollamaGenerateRequest has one message, or with raw a text.
type ollamaGenerateRequest struct{ ollamaRequest }

func (q *ollamaGenerateRequest) chat() (*chatRequest, error) {
	var list []map[string]string
	if q.System != "" {
		list = append(list, map[string]string{"role": "system", "content": q.System})
	}
	list = append(list, map[string]string{"role": "user", "content": q.Prompt})
	var err error
	if q.Messages, err = json.Marshal(list); err != nil {
		return nil, err
	}
	return q.ollamaRequest.chat()
}

func (s *Server) ollamaGenerate(c *call) error {
	var q ollamaGenerateRequest
	if err := decode(c.body, &q); err != nil {
		return err
	}
	if q.Prompt == "" && q.Suffix == "" {
		return s.ollamaLoad(c, q.Model, nil)
	}
	chat, err := q.chat()
	if err != nil {
		return err
	}
	var t *talk
	if q.Raw || q.Suffix != "" {
		t, err = s.startRaw(c, chat, q.Prompt, q.Suffix)
	} else {
		t, err = s.startChat(c, chat)
	}
	if err != nil {
		return err
	}
	return s.ollamaAnswer(c, &q.ollamaRequest, t, true)
}

// startRaw continues a text as it is, or with a suffix writes what stands before that.
func (s *Server) startRaw(c *call, q *chatRequest, prompt, suffix string) (*talk, error) {
	m, err := s.generator(q.Model)
	if err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	stops := []int32(nil)
	if suffix != "" {
		if prompt, stops, err = m.infill(prompt, suffix); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(prompt)
	if err != nil {
		return nil, err
	}
	prompts, err := m.prompts(c, text, true)
	if err != nil {
		return nil, err
	}
	r, err := q.request(c, m, prompts[0])
	if err != nil {
		return nil, err
	}
	constraint, err := m.constraint(&q.constraints, &calls.Options{}, nil)
	if err != nil {
		return nil, err
	}
	r.StopIDs = append(r.StopIDs, stops...)
	t := &talk{model: m.as(q.Model), tools: &toolSet{}, parts: []*calls.Reader{calls.NewReader(calls.Options{})}, calls: []int{0}, held: []int{0}}
	t.job, err = s.start(c, m, []*sched.Request{r}, 1, constraint)
	return t, err
}

// ollamaAnswer writes the answer: a line a piece unless stream is false. generate has its texts elsewhere.
func (s *Server) ollamaAnswer(c *call, q *ollamaRequest, t *talk, generate bool) error {
	w := &ollamaWriter{talk: t, q: q, generate: generate, out: s.events(c, q.Stream == nil || *q.Stream), start: time.Now(), message: &ollamaMessage{}}
	if w.out != nil {
		w.out.kind = "application/x-ndjson"
	}
	return t.tell(w, w.out)
}

// ollamaWriter answers in Ollama's form.
type ollamaWriter struct {
	*talk
	q            *ollamaRequest
	generate     bool
	out          *events // nil: not streamed
	start, first time.Time
	message      *ollamaMessage // of a stream what was not sent yet
	open         *calls.Call    // its arguments are still to come
	reason       sched.Finish
}

func (w *ollamaWriter) take(i int, e *sched.Event) error {
	if w.first.IsZero() {
		w.first = time.Now()
	}
	m := w.message
	for _, p := range w.pieces(i, e) {
		m.Content += p.Text
		m.Thinking += p.Reasoning
		if p.Arguments != "" {
			w.open.Arguments += p.Arguments
			continue
		}
		m.call(w.open)
		w.open = p.Call
	}
	if e.Finish != "" {
		m.call(w.open)
		w.reason = e.Finish
	}
	if e.Logprob != nil {
		m.logprobs = append(m.logprobs, w.m.chatLogprob(e.Logprob, false))
	}
	if w.out == nil || m.Content == "" && m.Thinking == "" && m.ToolCalls == nil {
		return nil
	}
	w.message = &ollamaMessage{}
	return w.out.line(w.answer(m))
}

// answer is the answer with a message, or a piece of it.
func (w *ollamaWriter) answer(m *ollamaMessage) *ollamaAnswer {
	a := &ollamaAnswer{Model: cmp.Or(w.q.Model, w.model), Created: time.Now().UTC(), Logprobs: m.logprobs}
	if w.generate {
		a.Response, a.Thinking = &m.Content, m.Thinking
	} else {
		m.Role, a.Message = "assistant", m
	}
	return a
}

func (w *ollamaWriter) end() error {
	last, u := w.answer(w.message), w.usage()
	last.Done, last.Reason = true, string(w.reason)
	last.ollamaTimes = &ollamaTimes{Total: time.Since(w.start), Prompt: u.Prompt, PromptTime: w.first.Sub(w.start), Count: u.Completion, Time: time.Since(w.first)}
	if w.out == nil {
		return writeJSON(w.c.w, 200, last)
	}
	return w.out.line(last)
}

func (w *ollamaWriter) fail(e *apiError) error { return w.out.line(ollamaError(e)) }

// ollamaCard describes a model; of one that is not loaded no more than its name is known.
func (m *model) ollamaCard(name string) map[string]any {
	card := map[string]any{"name": name, "model": name, "modified_at": m.born.UTC(), "size": 0, "digest": strings.Repeat("0", 64)} // clients cut it
	details := map[string]any{"format": "qpt", "family": "", "families": []string{}, "parameter_size": "", "quantization_level": "", "parent_model": m.name}
	if m.loaded.Load() {
		info := &m.file.Meta.Model
		card["size"], card["digest"] = m.file.File.Size(), hex.EncodeToString(m.digest())
		details["family"], details["families"] = info.Architecture, []string{info.Architecture}
		details["parameter_size"] = fmt.Sprintf("%.1fM", float64(info.Parameters)/1e6)
		details["quantization_level"] = m.file.Meta.Recipe.Scheme
	}
	card["details"] = details
	return card
}

// ollamaRunning lists the models that are loaded.
func (s *Server) ollamaRunning(c *call) error {
	list := []any{}
	for _, m := range s.models {
		if m.loaded.Load() {
			card := m.ollamaCard(m.name)
			card["size_vram"], card["context_length"], card["expires_at"] = 0, m.context, time.Now().AddDate(1, 0, 0).UTC()
			list = append(list, card)
		}
	}
	return writeJSON(c.w, 200, map[string]any{"models": list})
}

func (s *Server) ollamaTags(c *call) error {
	list := []any{}
	for _, m := range s.models {
		for _, name := range m.names() {
			list = append(list, m.ollamaCard(name))
		}
	}
	return writeJSON(c.w, 200, map[string]any{"models": list})
}

// ollamaFixed refuses to change which models there are.
func (s *Server) ollamaFixed(*call) error {
	return &apiError{status: http.StatusNotImplemented, kind: "invalid_request_error", message: "the models of this server are the files that it was started with (qrun serve --model FILE.qpt); GET /api/tags lists them"}
}

// able is what a loaded model is for, in Ollama's words, which has none for classes.
func (m *model) able() []string {
	switch {
	case m.enc != nil && m.enc.Width() == 0:
		return []string{}
	case m.enc != nil:
		return []string{"embedding"}
	}
	able := []string{"completion"}
	if m.fim() != nil {
		able = append(able, "insert")
	}
	if m.calls != nil {
		able = append(able, "tools")
	}
	if m.reasoning != nil {
		able = append(able, "thinking")
	}
	return able
}

func (s *Server) ollamaShow(c *call) error {
	var q struct {
		Model string `json:"model"`
		Name  string `json:"name"`
	}
	if err := decode(c.body, &q); err != nil {
		return err
	}
	if q.Model == "" {
		q.Model = q.Name
	}
	m, err := s.find(ollamaModel(q.Model))
	if err != nil {
		return err
	}
	card := m.ollamaCard(q.Model)
	template := ""
	if m.tok != nil {
		template = m.tok.ChatTemplate()
	}
	return writeJSON(c.w, 200, map[string]any{
		"details": card["details"], "modified_at": card["modified_at"], "template": template, "capabilities": m.able(),
		"model_info": map[string]any{"general.architecture": m.file.Meta.Model.Architecture, m.file.Meta.Model.Architecture + ".context_length": m.context},
	})
}

func (s *Server) ollamaVersion(c *call) error {
	return writeJSON(c.w, 200, map[string]string{"version": ollamaVersion})
}
