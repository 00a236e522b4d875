package serve

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"qpt/runtime/lm"
	"qpt/runtime/lm/sample"
	"qpt/runtime/serve/sched"
)

// Limits of a request.
const (
	maxChoices  = 128 // n, and n times the prompts
	maxStops    = 16
	maxStopText = 256 // bytes of a stop string
	maxTop      = 20  // alternatives with their probabilities
	maxBias     = 1024
)

// sampling are the parameters that completions and chats share: OpenAI's, then vLLM's.
type sampling struct {
	Model            string             `json:"model"`
	Temperature      *float64           `json:"temperature"`
	TopP             *float64           `json:"top_p"`
	N                *int               `json:"n"`
	Stream           bool               `json:"stream"`
	StreamOptions    *streamOptions     `json:"stream_options"`
	Stop             texts              `json:"stop"`
	PresencePenalty  float64            `json:"presence_penalty"`
	FrequencyPenalty float64            `json:"frequency_penalty"`
	LogitBias        map[string]float64 `json:"logit_bias"`
	Seed             json.RawMessage    `json:"seed"`

	TopK              int      `json:"top_k"`
	MinP              float64  `json:"min_p"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`
	MinTokens         int      `json:"min_tokens"`
	StopTokenIDs      []int32  `json:"stop_token_ids"`
	IgnoreEOS         bool     `json:"ignore_eos"`
	IncludeStop       bool     `json:"include_stop_str_in_output"`
	SkipSpecial       *bool    `json:"skip_special_tokens"`
	PromptLogprobs    *int     `json:"prompt_logprobs"`
	ReturnTokenIDs    bool     `json:"return_token_ids"`
	TokensAsIDs       bool     `json:"return_tokens_as_token_ids"` // in logprobs
	Allowed           []int32  `json:"allowed_token_ids"`
	Banned            []string `json:"bad_words"`
	Truncate          *int     `json:"truncate_prompt_tokens"` // leaves the last ones; -1: what the context holds
	Priority          int      `json:"priority"`
	CacheSalt         string   `json:"cache_salt"`
	CachePrompt       *bool    `json:"cache_prompt"` // llama-server's
}

type streamOptions struct {
	IncludeUsage    bool `json:"include_usage"`
	ContinuousUsage bool `json:"continuous_usage_stats"`
}

// texts is one text or a list of them.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	var list []*string
	if err := json.Unmarshal(b, &list); err != nil || slices.Contains(list, nil) {
		return refuse("", "want a text or a list of texts")
	}
	*t = make(texts, len(list))
	for i, text := range list {
		(*t)[i] = *text
	}
	return nil
}

// check refuses values out of range.
func (p *sampling) check() error {
	in := func(name string, v *float64, lo, hi float64) error {
		if v != nil && !(*v >= lo && *v <= hi) {
			return refuse(name, "%s %v: must be %v to %v", name, *v, lo, hi)
		}
		return nil
	}
	for _, err := range []error{
		in("temperature", p.Temperature, 0, 2),
		in("top_p", p.TopP, 0, 1),
		in("min_p", &p.MinP, 0, 1),
		in("presence_penalty", &p.PresencePenalty, -2, 2),
		in("frequency_penalty", &p.FrequencyPenalty, -2, 2),
		in("repetition_penalty", p.RepetitionPenalty, 1e-3, 1e3),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case p.N != nil && (*p.N < 1 || *p.N > maxChoices):
		return refuse("n", "n %d: must be 1 to %d", *p.N, maxChoices)
	case p.TopK < -1:
		return refuse("top_k", "top_k %d: must be 1 or more, or 0 or -1 for all", p.TopK)
	case p.MinTokens < 0:
		return refuse("min_tokens", "min_tokens %d: must not be negative", p.MinTokens)
	case len(p.Stop) > maxStops || len(p.StopTokenIDs) > maxStops:
		return refuse("stop", "more than %d stops", maxStops)
	case len(p.LogitBias) > maxBias:
		return refuse("logit_bias", "more than %d tokens", maxBias)
	case p.Allowed != nil && len(p.Allowed) == 0:
		return refuse("allowed_token_ids", "allowed_token_ids is an empty list")
	case len(p.Banned) > maxBias:
		return refuse("bad_words", "more than %d words", maxBias)
	case p.Truncate != nil && (*p.Truncate < -1 || *p.Truncate == 0):
		return refuse("truncate_prompt_tokens", "truncate_prompt_tokens %d: must be 1 or more, or -1 for what the context holds", *p.Truncate)
	case p.PromptLogprobs != nil && (*p.PromptLogprobs < 0 || *p.PromptLogprobs > maxTop):
		return refuse("prompt_logprobs", "prompt_logprobs %d: must be 0 to %d", *p.PromptLogprobs, maxTop)
	case p.StreamOptions != nil && !p.Stream:
		return refuse("stream_options", "stream_options without stream")
	}
	for _, s := range p.Stop {
		if len(s) > maxStopText {
			return refuse("stop", "a stop string has %d bytes, at most %d", len(s), maxStopText)
		}
	}
	return nil
}

// choices is the number of texts wanted for a prompt.
func (p *sampling) choices() int {
	if p.N == nil {
		return 1
	}
	return *p.N
}

// usage tells whether a stream is to end with the usage.
func (p *sampling) usage() bool { return p.StreamOptions != nil && p.StreamOptions.IncludeUsage }

// banned are the spellings of words in tokens: at the beginning of a text, and behind a space.
func (m *model) banned(c *call, words []string) (list [][]int32, err error) {
	for _, word := range words {
		word = strings.TrimLeft(word, " ")
		if word == "" {
			return nil, refuse("bad_words", "a word is empty")
		}
		first, err := m.encode(c, word, false)
		if err != nil {
			return nil, err
		}
		behind, err := m.encode(c, " "+word, false)
		if err != nil {
			return nil, err
		}
		if list = append(list, first); len(behind) == len(first) && behind[0] != first[0] {
			list = append(list, behind)
		}
	}
	return list, nil
}

// request makes what the scheduler takes, for the first choice.
func (p *sampling) request(c *call, m *model, prompt []int32, maxTokens int) (*sched.Request, error) {
	if k := p.Truncate; k != nil {
		most := m.context - 1
		if *k > 0 {
			most = *k
		}
		prompt = prompt[max(len(prompt)-most, 0):]
	}
	if maxTokens > 0 && p.MinTokens > maxTokens {
		return nil, refuse("min_tokens", "min_tokens %d: must be at most max_tokens, %d", p.MinTokens, maxTokens)
	}
	r := &sched.Request{
		Prompt: prompt, MaxTokens: maxTokens, MinTokens: p.MinTokens,
		Sample:   sample.Options{Temperature: 1, TopK: max(p.TopK, 0), MinP: p.MinP},
		Presence: p.PresencePenalty, Frequency: p.FrequencyPenalty,
		Stop: p.Stop, StopIDs: p.StopTokenIDs, IgnoreEOS: p.IgnoreEOS,
		Text:    lm.TextOptions{Include: p.IncludeStop, Special: p.SkipSpecial != nil && !*p.SkipSpecial},
		Allowed: p.Allowed,
		Key:     c.key, Priority: p.Priority, Salt: p.CacheSalt, NoCache: p.CachePrompt != nil && !*p.CachePrompt,
	}
	if p.Temperature != nil {
		r.Sample.Temperature = *p.Temperature
	}
	if p.TopP != nil {
		if r.Sample.TopP = *p.TopP; r.Sample.TopP == 0 { // none but the likeliest
			r.Sample.TopK = 1
		}
	}
	if p.RepetitionPenalty != nil {
		r.Sample.RepetitionPenalty = *p.RepetitionPenalty
	}
	var err error
	if r.Banned, err = m.banned(c, p.Banned); err != nil {
		return nil, err
	}
	if r.Sample.Seed, err = seed(p.Seed); err != nil {
		return nil, err
	}
	if len(p.LogitBias) > 0 {
		r.Bias = map[int32]float32{}
	}
	for word, b := range p.LogitBias {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil || !(math.Abs(b) <= 100) {
			return nil, refuse("logit_bias", "logit_bias %q: %v: want token ids with numbers from -100 to 100", word, b)
		}
		r.Bias[int32(id)] = float32(b)
	}
	if p.PromptLogprobs != nil {
		r.PromptLogprobs = *p.PromptLogprobs + 1
	}
	return r, nil
}

// seed reads a whole number of 64 bits, with or without a sign; none is one at random.
func seed(raw json.RawMessage) (uint64, error) {
	if raw == nil {
		return rand.Uint64(), nil
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return uint64(n), nil
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, refuse("seed", "seed %.40s: want a whole number of 64 bits", raw)
	}
	return n, nil
}
