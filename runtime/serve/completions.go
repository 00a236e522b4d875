package serve

import (
	"encoding/json"
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
	IDs      []int32          `json:"token_ids,omitempty"`

	length int // of the text so far, in characters
}

type completion struct {
	ID      string              `json:"id"`
	Object  string              `json:"object"`
	Created int64               `json:"created"`
	Model   string              `json:"model"`
	Choices []*completionChoice `json:"choices"`
	Usage   *usage              `json:"usage"`
}

// defaultTokens is OpenAI's default of max_tokens for completions.
const defaultTokens = 16

func (s *Server) completions(c *call) error {
	var q completionRequest
	if err := decode(c.body, &q); err != nil {
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
	prompts, err := m.prompts(c, q.Prompt, q.Special == nil || *q.Special)
	if err != nil {
		return err
	}
	constraint, err := m.constraint(&q.constraints, &calls.Options{}, nil)
	if err != nil {
		return err
	}
	var list []*sched.Request
	for _, ids := range prompts {
		r, err := q.request(c, ids, max(n, 1))
		if err != nil {
			return err
		}
		r.StopIDs = append(r.StopIDs, stops...)
		if q.Logprobs != nil {
			r.Logprobs = *q.Logprobs + 1
			if q.Echo {
				r.PromptLogprobs = max(r.PromptLogprobs, r.Logprobs)
			}
		}
		list = append(list, r)
	}
	j, err := s.start(c, m, list, q.choices(), constraint)
	if err != nil {
		return err
	}
	answer := &completion{ID: newID("cmpl-"), Object: "text_completion", Created: time.Now().Unix(), Model: m.as(q.Model)}
	choices := make([]*completionChoice, len(j.streams))
	for i := range choices {
		choices[i] = &completionChoice{Index: i}
		if q.Echo {
			choices[i].echo(m, list[i/q.choices()].Prompt)
		}
	}
	take := func(i int, e *sched.Event) {
		if e.Prompt != nil {
			choices[i].prompt(m, &q, list[i/q.choices()].Prompt, e.Prompt)
		}
		if n > 0 {
			choices[i].take(m, &q, e)
		} else if e.Finish != "" {
			choices[i].Finish = &e.Finish
		}
	}
	if q.Stream {
		return s.streamCompletion(j, &q, answer, choices, take)
	}
	for i, e := range j.events() {
		if e.Err != nil {
			return e.Err
		}
		take(i, &e)
	}
	answer.Choices, answer.Usage = choices, j.usage()
	return writeJSON(c.w, 200, answer)
}

func (s *Server) streamCompletion(j *job, q *completionRequest, chunk *completion, choices []*completionChoice, take func(int, *sched.Event)) error {
	out := s.events(j.c)
	for i, e := range j.events() {
		if e.Err != nil {
			return out.fail(e.Err, "", openAIError)
		}
		take(i, &e)
		ch := choices[i]
		if ch.Text == "" && ch.Logprobs == nil && ch.Finish == nil && ch.Prompt == nil && ch.IDs == nil {
			continue
		}
		if chunk.Choices = []*completionChoice{ch}; q.usage() && q.StreamOptions.ContinuousUsage {
			chunk.Usage = j.usage()
		}
		if err := out.send("", chunk); err != nil {
			return err
		}
		*ch = completionChoice{Index: i, length: ch.length}
	}
	if q.usage() {
		chunk.Choices, chunk.Usage = []*completionChoice{}, j.usage()
		if err := out.send("", chunk); err != nil {
			return err
		}
	}
	return out.done()
}

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
			ch.Logprobs.add(m, id, list[i], offset)
			offset += utf8.RuneCountInString(text.Next(id))
		}
	}
}

// take adds a token.
func (ch *completionChoice) take(m *model, q *completionRequest, e *sched.Event) {
	if e.Logprob != nil {
		if ch.Logprobs == nil {
			ch.Logprobs = &textLogprobs{}
		}
		ch.Logprobs.add(m, e.ID, e.Logprob, ch.length)
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
