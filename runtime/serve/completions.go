package serve

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"qpt/runtime/lm/calls"
	"qpt/runtime/serve/sched"
)

func itoa(id int32) string { return strconv.Itoa(int(id)) }

// completionRequest is OpenAI's, with vLLM's further parameters.
type completionRequest struct {
	sampling
	constraints
	Prompt    json.RawMessage `json:"prompt"`
	Suffix    *string         `json:"suffix"`
	MaxTokens *int            `json:"max_tokens"`
	Echo      bool            `json:"echo"`
	BestOf    *int            `json:"best_of"`
	Logprobs  *int            `json:"logprobs"`
	Special   *bool           `json:"add_special_tokens"`
}

// completionChoice is one text of an answer, or a piece of it.
type completionChoice struct {
	Index    int              `json:"index"`
	Text     string           `json:"text"`
	Logprobs *textLogprobs    `json:"logprobs"`
	Finish   *sched.Finish    `json:"finish_reason"`
	Stopped  any              `json:"stop_reason"` // vLLM's: the stop string that was met
	Prompt   []map[string]any `json:"prompt_logprobs,omitempty"`
	Asked    []int32          `json:"prompt_token_ids,omitempty"` // in a stream with the first piece
	IDs      []int32          `json:"token_ids,omitempty"`

	length int     // of the text so far, in characters
	sum    float64 // of the logarithms of the tokens' probabilities, with best_of
}

type completion struct {
	ID      string              `json:"id"`
	Object  string              `json:"object"`
	Created int64               `json:"created"`
	Model   string              `json:"model"`
	System  string              `json:"system_fingerprint"`
	Choices []*completionChoice `json:"choices"`
	Usage   *usage              `json:"usage"`
}

// defaultTokens is OpenAI's default of max_tokens for completions.
const defaultTokens = 16

// written is how many texts are written for a prompt: those that are wanted, or more of which they are the best.
func (q *completionRequest) written() int {
	if q.BestOf == nil {
		return q.choices()
	}
	return *q.BestOf
}

func (s *Server) completions(c *call) error {
	w := &completionWriter{answer: &completion{ID: newID("cmpl-"), Object: "text_completion", Created: time.Now().Unix()}}
	q := &w.q
	c.names = map[string]string{"messages": "prompt"}
	if err := decode(c.body, q); err != nil {
		return err
	}
	m, err := s.generator(q.Model)
	if err != nil {
		return err
	}
	n := defaultTokens
	if q.MaxTokens != nil {
		n = *q.MaxTokens
	}
	switch err := q.check(); {
	case err != nil:
		return err
	case n < 0 || n == 0 && !q.Echo:
		return refuse("max_tokens", "max_tokens %d: must be at least 1", n)
	case q.Logprobs != nil && (*q.Logprobs < 0 || *q.Logprobs > maxTop):
		return refuse("logprobs", "logprobs %d: must be 0 to %d", *q.Logprobs, maxTop)
	case q.written() < q.choices() || q.written() > maxChoices:
		return refuse("best_of", "best_of %d: must be n, %d, to %d", q.written(), q.choices(), maxChoices)
	case q.written() > q.choices() && q.Stream:
		return refuse("best_of", "best_of above n cannot be streamed")
	case q.Suffix != nil && *q.Suffix != "" && q.Echo:
		return refuse("echo", "echo with suffix is not supported")
	case q.Echo && q.Stream && q.PromptLogprobs != nil:
		return refuse("echo", "echo and prompt_logprobs together cannot be streamed")
	}
	var stops []int32
	if q.Suffix != nil && *q.Suffix != "" {
		var before string
		if json.Unmarshal(q.Prompt, &before) != nil {
			return refuse("prompt", "with suffix the prompt must be one text")
		}
		if before, stops, err = m.infill(before, *q.Suffix); err != nil {
			return err
		}
		if q.Prompt, err = json.Marshal(before); err != nil {
			return err
		}
	}
	c.cut = q.Truncate != nil
	prompts, err := m.prompts(c, q.Prompt, q.Special == nil || *q.Special)
	if err != nil {
		return err
	}
	constraint, err := m.constraint(&q.constraints, &calls.Options{}, nil)
	if err != nil {
		return err
	}
	for _, ids := range prompts {
		r, err := q.request(c, m, ids, max(n, 1))
		if err != nil {
			return err
		}
		r.StopIDs = append(r.StopIDs, stops...)
		if q.Logprobs != nil {
			r.Logprobs = *q.Logprobs + 1
			if q.Echo {
				r.PromptLogprobs = max(r.PromptLogprobs, r.Logprobs)
			}
		} else if q.written() > q.choices() {
			r.Logprobs = 1
		}
		w.list = append(w.list, r)
	}
	if w.job, err = s.start(c, m, w.list, q.written(), constraint); err != nil {
		return err
	}
	w.answer.Model, w.answer.System, w.none = m.as(q.Model), m.fingerprint, n == 0
	for i := range w.streams {
		ch := &completionChoice{Index: i}
		if q.ReturnTokenIDs {
			ch.Asked = w.prompt(i)
		}
		if q.Echo {
			ch.echo(m, w.prompt(i))
		}
		w.choices = append(w.choices, ch)
	}
	w.out = s.events(c, q.Stream)
	return w.tell(w, w.out)
}

// completionWriter answers with completions.
type completionWriter struct {
	*job
	q       completionRequest
	list    []*sched.Request // by prompt
	out     *events          // nil: not streamed
	answer  *completion
	choices []*completionChoice
	none    bool // nothing is wanted but the prompt
}

// prompt is that of a choice.
func (w *completionWriter) prompt(i int) []int32 { return w.list[i/w.q.written()].Prompt }

func (w *completionWriter) take(i int, e *sched.Event) error {
	ch := w.choices[i]
	if e.Prompt != nil {
		ch.prompt(w.m, &w.q, w.prompt(i), e.Prompt)
	}
	if !w.none {
		ch.take(w.m, &w.q, e)
	} else if w.count[i] = 0; e.Finish != "" {
		ch.Finish = &e.Finish
	}
	if w.out == nil || ch.Text == "" && ch.Logprobs == nil && ch.Finish == nil && ch.Prompt == nil && ch.IDs == nil {
		return nil
	}
	w.choices[i] = &completionChoice{Index: i, length: ch.length}
	w.answer.Choices = []*completionChoice{ch}
	if w.q.usage() && w.q.StreamOptions.ContinuousUsage {
		w.answer.Usage = w.usage()
	}
	return w.out.send("", w.answer)
}

// best leaves of the choices of each prompt those with the likeliest tokens.
func (w *completionWriter) best() {
	all, n := w.choices, w.q.written()
	mean := func(ch *completionChoice) float64 { return ch.sum / float64(max(w.count[ch.Index], 1)) }
	w.choices = nil
	for ; len(all) > 0; all = all[n:] {
		slices.SortStableFunc(all[:n], func(a, b *completionChoice) int { return cmp.Compare(mean(b), mean(a)) })
		w.choices = append(w.choices, all[:w.q.choices()]...)
	}
	for i, ch := range w.choices {
		ch.Index = i
	}
}

func (w *completionWriter) end() error {
	if w.out == nil {
		if w.q.written() > w.q.choices() {
			w.best()
		}
		w.answer.Choices, w.answer.Usage = w.choices, w.usage()
		return writeJSON(w.c.w, 200, w.answer)
	}
	if w.q.usage() {
		w.answer.Choices, w.answer.Usage = []*completionChoice{}, w.usage()
		if err := w.out.send("", w.answer); err != nil {
			return err
		}
	}
	return w.out.done()
}

func (w *completionWriter) fail(e *apiError) error { return w.out.send("", openAIError(e)) }

// echo begins the text with the prompt.
func (ch *completionChoice) echo(m *model, prompt []int32) {
	if m.tok != nil {
		ch.Text = m.tok.Decode(prompt, true)
		ch.length = utf8.RuneCountInString(ch.Text)
	}
}

// prompt takes in the probabilities of the prompt's tokens.
func (ch *completionChoice) prompt(m *model, q *completionRequest, ids []int32, list []*sched.Logprob) {
	if q.PromptLogprobs != nil {
		ch.Prompt = m.promptLogprobs(list)
	}
	if q.Echo && q.Logprobs != nil && m.tok != nil {
		ch.Logprobs = &textLogprobs{}
		text, offset := m.tok.NewStream(true), 0
		for i, id := range ids {
			if list[i] != nil {
				list[i].Top = list[i].Top[:min(len(list[i].Top), *q.Logprobs)]
			}
			ch.Logprobs.add(m, id, list[i], offset, q.TokensAsIDs)
			offset += utf8.RuneCountInString(text.Next(id))
		}
	}
}

// take adds a token.
func (ch *completionChoice) take(m *model, q *completionRequest, e *sched.Event) {
	if e.Logprob != nil {
		ch.sum += float64(e.Logprob.Logprob)
	}
	if e.Logprob != nil && q.Logprobs != nil {
		if ch.Logprobs == nil {
			ch.Logprobs = &textLogprobs{}
		}
		ch.Logprobs.add(m, e.ID, e.Logprob, ch.length, q.TokensAsIDs)
	}
	if q.ReturnTokenIDs && e.ID >= 0 {
		ch.IDs = append(ch.IDs, e.ID)
	}
	ch.Text += e.Text
	ch.length += utf8.RuneCountInString(e.Text)
	if e.Finish != "" {
		ch.Finish = &e.Finish
		if e.Stopped != "" {
			ch.Stopped = e.Stopped
		}
	}
}
