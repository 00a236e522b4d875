package sched

import (
	"errors"
	"time"

	"qpt/runtime/lm"
	"qpt/runtime/lm/sample"
)

// Errors of Submit and of texts that end early.
var (
	ErrBusy    = errors.New("too many requests are waiting")
	ErrClosed  = errors.New("the server is shutting down")
	ErrContext = errors.New("the prompt does not fit in the context")
	ErrRequest = errors.New("the request is wrong")
)

// Request is one text to be continued. Its fields must not change after Submit.
type Request struct {
	Prompt    []int32 // at least one token
	MaxTokens int     // 0: until the context is full
	MinTokens int     // no end of text, by token or by string, before so many

	Sample              sample.Options
	Presence, Frequency float64 // are subtracted from logits of tokens generated before: once; for each time
	Bias                map[int32]float32
	Allowed             []int32    // if there are any, no other tokens
	Banned              [][]int32  // none of these runs of tokens is generated
	Constraint          Constraint // nil: none

	Stop      []string
	StopIDs   []int32 // end the text as an end-of-text token does
	IgnoreEOS bool
	Text      lm.TextOptions // Stop in it is not looked at

	// Logprobs is 1 more than the number of alternatives wanted with the logarithm of each token's probability;
	// 0: none. Probabilities are the model's own, before penalties, bias, temperature and constraint.
	// PromptLogprobs is the same for the tokens of the prompt.
	Logprobs, PromptLogprobs int

	Key      string // whose request it is: keys are served alike and share no prefixes
	Priority int    // among the requests of its key: lesser ones are admitted first
	Salt     string // separates prefixes further
	NoCache  bool   // read all of the prompt
}

// Constraint says which tokens may come next. Its methods are called in turn, from changing goroutines.
type Constraint interface {
	// Mask sets bit id%64 of dst[id/64] for each token allowed next, end-of-text tokens where the text may
	// end, and clears the others.
	Mask(dst []uint64) error
	// Accept goes on behind a token, which the last Mask allowed.
	Accept(id int32) error
	// Done tells that nothing can follow but the end.
	Done() bool
}

// Finish says why a text ended.
type Finish string

// Reasons to end.
const (
	FinishStop   Finish = "stop"   // a token that ends texts, a stop string, or a complete constraint
	FinishLength Finish = "length" // MaxTokens, or the context is full
)

// Event is one token of a text, or its end.
type Event struct {
	ID      int32  // -1: none
	Text    string // whole characters, behind what was held back as the beginning of a stop string
	Logprob *Logprob
	Finish  Finish // of the last event
	Stopped string // with FinishStop: the stop string that was met, if it was one
	Err     error  // of the last event, in place of Finish
	Prompt  []*Logprob
}

// Logprob is the logarithm of a token's probability, with that of the likeliest ones.
type Logprob struct {
	ID      int32
	Logprob float32
	Rank    int            // 1 of the likeliest
	Top     []TokenLogprob // by falling probability
}

// TokenLogprob is a token with the logarithm of its probability.
type TokenLogprob struct {
	ID      int32
	Logprob float32
}

// Times are what a text took, for metrics.
type Times struct {
	Arrived, Admitted, First, Last time.Time // zero: never
	Prompt, Cached, Generated      int       // tokens; of the prompt those that were taken from kept prefixes
	MaxTokens                      int
	Preempted                      int
	Finish                         Finish // "" after an error or when the client left
	Err                            error
}

// Observer is told what happens; its methods are called by the scheduler and must be quick.
type Observer interface {
	Pass(decode, prompt int, took time.Duration) // rows of each kind
	Token(gap time.Duration)                     // a token after the first
	First(wait time.Duration)                    // the first token of a text
	Preempted()
	Prefix(asked, hit int) // prompt tokens looked up, and found
	Done(t *Times)
}
