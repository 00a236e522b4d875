// Package serve answers requests over HTTP from language models: the API of OpenAI, with vLLM's
// further parameters, those of Anthropic and Ollama, and what operators need.
//
//	s, err := serve.New([]serve.Model{{Name: "tiny", LM: m}}, serve.Options{})
//	http.Serve(listener, s.Handler())
//	s.Close(ctx)
//
// An endpoint is one file: a handler that reads its request, makes sched.Requests of it, and words what comes
// back. What they share: params.go (sampling), prompt.go (text to tokens), run.go (texts under way), sse.go (streams).
// Nothing is fetched from any address, prompts are not logged, and a request that fails harms no other.
package serve
