package serve

import (
	"context"
	"iter"
	"slices"

	"qpt/runtime/serve/sched"
)

// texts under way: of one call, several choices of one or several prompts.
type job struct {
	s       *Server
	m       *model
	streams []*sched.Stream
	choices int // of a prompt
	prompts int // tokens of all prompts, each counted once
	count   []int
	c       *call

	reasoning int // tokens of all texts, as far as they are taken apart
}

// start submits n choices for each request.
func (s *Server) start(c *call, m *model, list []*sched.Request, n int, constraint func() sched.Constraint) (*job, error) {
	if len(list)*n > maxChoices {
		return nil, refuse("n", "%d texts are wanted, at most %d", len(list)*n, maxChoices)
	}
	s.metrics.choices.WithLabelValues(m.name).Observe(float64(n))
	j := &job{s: s, m: m, c: c, choices: n}
	var all []*sched.Request
	for _, r := range list {
		j.prompts += len(r.Prompt)
		if room := max(m.context-len(r.Prompt), 1); r.MaxTokens == 0 || r.MaxTokens > room { // max_model_len counts both
			r.MaxTokens = room
		}
		for i := range n {
			choice := *r
			choice.Sample.Seed += uint64(i)
			if constraint != nil {
				choice.Constraint = constraint()
			}
			all = append(all, &choice)
		}
	}
	c.note.mu.Lock()
	c.note.model, c.note.prompt = m.name, j.prompts
	c.note.mu.Unlock()
	var err error
	if j.streams, err = m.sched.SubmitAll(c.ctx(), all); err != nil {
		return nil, err
	}
	j.count = make([]int, len(all))
	return j, nil
}

// events yields what happens in all texts, with their numbers. After an error there is nothing more.
func (j *job) events() iter.Seq2[int, sched.Event] {
	return func(yield func(int, sched.Event) bool) {
		ctx, cancel := context.WithCancel(j.c.ctx())
		defer cancel()
		type numbered struct {
			i int
			e sched.Event
		}
		merged := make(chan numbered)
		for i, st := range j.streams {
			go func() {
				for e := range st.Events(ctx) {
					select {
					case merged <- numbered{i, e}:
					case <-ctx.Done():
						return
					}
				}
			}()
		}
		for left := len(j.streams); left > 0; {
			var n numbered
			select {
			case n = <-merged:
			case <-ctx.Done():
				yield(0, sched.Event{ID: -1, Err: ctx.Err()})
				return
			}
			if n.e.ID >= 0 {
				j.count[n.i]++
				j.c.note.mu.Lock()
				j.c.note.output++
				j.c.note.mu.Unlock()
			}
			if !yield(n.i, n.e) || n.e.Err != nil {
				return
			}
			if n.e.Finish != "" {
				left--
			}
		}
		j.s.metrics.longest.WithLabelValues(j.m.name).Observe(float64(slices.Max(j.count)))
	}
}

// answer is what an API makes of the texts of a job: one document, or a stream of events.
type answer interface {
	take(i int, e *sched.Event) error // an event of text i, which is no error
	end() error                       // all texts have come to their ends
	fail(e *apiError) error           // a stream that has begun ends by an error
}

// tell makes an answer of all events. out is nil for one document, which nothing is written of before the end.
func (j *job) tell(a answer, out *events) error {
	for i, e := range j.events() {
		if e.Err != nil {
			if out == nil || !out.started || out.err != nil {
				return e.Err
			}
			told := asAPI(e.Err)
			j.c.note.err = told
			return a.fail(told)
		}
		if err := a.take(i, &e); err != nil {
			return err
		}
	}
	return a.end()
}

// usage is OpenAI's account of tokens.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	Output struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// usage is what the job has taken so far.
func (j *job) usage() *usage {
	u := &usage{Prompt: j.prompts}
	for _, n := range j.count {
		u.Completion += n
	}
	for choices := range slices.Chunk(j.streams, j.choices) { // which share their prompt: what the first of them to be admitted found
		least := choices[0].Cached()
		for _, st := range choices[1:] {
			least = min(least, st.Cached())
		}
		u.Details.Cached += least
	}
	u.Output.Reasoning = j.reasoning
	u.Total = u.Prompt + u.Completion
	return u
}
