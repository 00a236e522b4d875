// Package sched serves many texts of one language model at once.
//
//	s := sched.New(m, sched.Options{})
//	st, err := s.Submit(ctx, &sched.Request{Prompt: ids, MaxTokens: 100})
//	for e := range st.Events(ctx) { fmt.Print(e.Text) }
//	s.Close(ctx)
//
// One goroutine runs pass after pass. Each has one row for every text that goes on, then as many
// rows of prompts as the target gap allows at the measured rate, those already begun first. A text is
// admitted when a pass has room for its first piece and the pool has pages for all of its prompt: the next
// of the key that has been served least, in the order of arrival among its own. When pages run short,
// kept prefixes go first; then the text admitted last gives its pages back, waits at the head of the queue and is read again.
//
// What a text gets does not depend on any of this: rows have the same bits in whatever pass, and a random
// number is a function of the seed and the position.
package sched
