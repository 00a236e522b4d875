package serve

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"qpt/runtime/lm/sample"
	"qpt/runtime/serve/sched"
)

// metrics have the names and meanings of vLLM's, behind a prefix.
type metrics struct {
	registry *prometheus.Registry

	promptTokens, cachedTokens, outputTokens, preempted, queried, hits, rejected *prometheus.CounterVec
	success, source, corrupted                                                   *prometheus.CounterVec
	first, token, perToken, whole, queued, inferred, prefill, decode             *prometheus.HistogramVec
	promptLength, outputLength, maxTokens, choices, preemptions, computed, pass  *prometheus.HistogramVec
	longest                                                                      *prometheus.HistogramVec

	cacheConfig *prometheus.GaugeVec
	all         []func(model string) // make what has no other labels than the model's be there, as zero

	http     *prometheus.CounterVec
	httpTime *prometheus.HistogramVec
}

// Bounds of histograms: seconds of a token and of a request on a CPU, and tokens.
var (
	shortSeconds = []float64{.005, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 10}
	longSeconds  = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60, 100, 300, 600}
	lengths      = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000}
	rows         = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048}
)

// separator stands between the prefix and the name, as vLLM has it.
const separator = ":"

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	of := prometheus.WrapRegistererWith(prometheus.Labels{"engine": "0"}, m.registry) // vLLM counts its engines
	name := func(n string) string { return s.opt.Metrics + separator + n }
	counter := func(n, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name(n + "_total"), Help: help}, append([]string{"model_name"}, labels...))
		of.MustRegister(c)
		if labels == nil {
			m.all = append(m.all, func(model string) { c.WithLabelValues(model) })
		}
		return c
	}
	histogram := func(n, help string, bounds []float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name(n), Help: help, Buckets: bounds}, []string{"model_name"})
		of.MustRegister(h)
		m.all = append(m.all, func(model string) { h.WithLabelValues(model) })
		return h
	}
	m.promptTokens = counter("prompt_tokens", "Tokens of prompts, those from kept prefixes among them.")
	m.source = counter("prompt_tokens_by_source", "Tokens of prompts by where their keys and values come from.", "source")
	m.cachedTokens = counter("prompt_tokens_cached", "Tokens of prompts taken from kept prefixes.")
	m.outputTokens = counter("generation_tokens", "Tokens generated.")
	m.preempted = counter("num_preemptions", "Texts that gave their pages back and were read again.")
	m.queried = counter("prefix_cache_queries", "Tokens looked up among kept prefixes.")
	m.hits = counter("prefix_cache_hits", "Tokens found among kept prefixes.")
	m.success = counter("request_success", "Texts that came to their end.", "finished_reason")
	m.rejected = counter("admission_rejections", "Texts that ended by an error.", "reason")
	m.corrupted = counter("corrupted_requests", "Texts of which the model's predictions were no numbers.")
	m.first = histogram("time_to_first_token_seconds", "From a request's arrival to its first token.", longSeconds)
	m.token = histogram("inter_token_latency_seconds", "Between two tokens of a text.", shortSeconds)
	m.perToken = histogram("request_time_per_output_token_seconds", "Mean time of a text's tokens after the first.", shortSeconds)
	m.whole = histogram("e2e_request_latency_seconds", "From a request's arrival to its end.", longSeconds)
	m.queued = histogram("request_queue_time_seconds", "From a request's arrival to its admission.", longSeconds)
	m.inferred = histogram("request_inference_time_seconds", "From a request's admission to its end.", longSeconds)
	m.prefill = histogram("request_prefill_time_seconds", "From a request's admission to its first token.", longSeconds)
	m.decode = histogram("request_decode_time_seconds", "From a request's first token to its end.", longSeconds)
	m.promptLength = histogram("request_prompt_tokens", "Tokens of a prompt.", lengths)
	m.outputLength = histogram("request_generation_tokens", "Tokens generated for a request.", lengths)
	m.longest = histogram("request_max_num_generation_tokens", "Tokens of a request's longest choice.", lengths)
	m.maxTokens = histogram("request_params_max_tokens", "max_tokens of a request.", lengths)
	m.choices = histogram("request_params_n", "Choices of a request.", rows)
	m.preemptions = histogram("request_num_preemptions", "How often a text gave its pages back.", rows)
	m.computed = histogram("request_prefill_kv_computed_tokens", "Tokens of a prompt that were read, not taken from kept prefixes.", lengths)
	m.pass = histogram("iteration_tokens_total", "Rows of a pass.", rows)

	m.cacheConfig = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name("cache_config_info"), Help: "Tokens of a page of keys and values, and how many pages there may be."}, []string{"model_name", "block_size", "num_gpu_blocks"})
	of.MustRegister(m.cacheConfig)
	gauge := func(n, help string, f func(l sched.Load) float64, labels ...string) {
		for _, model := range s.models {
			own := prometheus.Labels{"model_name": model.name}
			if labels != nil {
				own[labels[0]] = labels[1]
			}
			of.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name(n), Help: help, ConstLabels: own}, func() float64 { return f(model.work()) }))
		}
	}
	waiting := func(l sched.Load) float64 { return float64(l.Waiting) }
	gauge("num_requests_running", "Texts being read or generated.", func(l sched.Load) float64 { return float64(l.Running) })
	gauge("num_requests_waiting", "Texts waiting to be admitted.", waiting)
	gauge("num_requests_waiting_by_reason", "Texts waiting to be admitted, all of them for want of room.", waiting, "reason", "capacity")
	gauge("kv_cache_usage_perc", "Share of the pages that running texts hold, 0 to 1.", func(l sched.Load) float64 { return l.KV })

	m.http = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Answers."}, []string{"method", "handler", "status"})
	m.httpTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Time of answers.", Buckets: longSeconds}, []string{"method", "handler"})
	m.registry.MustRegister(m.http, m.httpTime, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// observer counts what the scheduler of one model tells.
func (m *metrics) observer(model string) sched.Observer {
	for _, f := range m.all {
		f(model)
	}
	for _, reason := range []string{"stop", "length", "abort"} {
		m.success.WithLabelValues(model, reason)
	}
	return &observer{m, model}
}

type observer struct {
	m     *metrics
	model string
}

func (o *observer) Pass(decode, prompt int, _ time.Duration) {
	o.m.pass.WithLabelValues(o.model).Observe(float64(decode + prompt))
}

func (o *observer) First(wait time.Duration) {
	o.m.outputTokens.WithLabelValues(o.model).Inc()
	o.m.first.WithLabelValues(o.model).Observe(wait.Seconds())
}

func (o *observer) Token(gap time.Duration) {
	o.m.outputTokens.WithLabelValues(o.model).Inc()
	o.m.token.WithLabelValues(o.model).Observe(gap.Seconds())
}

func (o *observer) Preempted() { o.m.preempted.WithLabelValues(o.model).Inc() }

func (o *observer) Prefix(asked, hit int) {
	o.m.queried.WithLabelValues(o.model).Add(float64(asked))
	o.m.hits.WithLabelValues(o.model).Add(float64(hit))
}

func (o *observer) Done(t *sched.Times) {
	m, now := o.m, time.Now()
	m.promptTokens.WithLabelValues(o.model).Add(float64(t.Prompt))
	m.cachedTokens.WithLabelValues(o.model).Add(float64(t.Cached))
	m.source.WithLabelValues(o.model, "local_cache_hit").Add(float64(t.Cached))
	m.source.WithLabelValues(o.model, "local_compute").Add(float64(t.Prompt - t.Cached))
	see := func(h *prometheus.HistogramVec, v float64) { h.WithLabelValues(o.model).Observe(v) }
	see(m.promptLength, float64(t.Prompt))
	see(m.outputLength, float64(t.Generated))
	see(m.maxTokens, float64(t.MaxTokens))
	see(m.preemptions, float64(t.Preempted))
	see(m.computed, float64(t.Prompt-t.Cached))
	see(m.whole, now.Sub(t.Arrived).Seconds())
	if !t.Admitted.IsZero() {
		see(m.queued, t.Admitted.Sub(t.Arrived).Seconds())
		see(m.inferred, now.Sub(t.Admitted).Seconds())
	}
	if !t.First.IsZero() {
		see(m.prefill, t.First.Sub(t.Admitted).Seconds())
		see(m.decode, now.Sub(t.First).Seconds())
	}
	if t.Generated > 1 {
		see(m.perToken, t.Last.Sub(t.First).Seconds()/float64(t.Generated-1))
	}
	switch {
	case t.Finish != "":
		m.success.WithLabelValues(o.model, string(t.Finish)).Inc()
	case asAPI(t.Err) == errLeft:
		m.success.WithLabelValues(o.model, "abort").Inc()
	case errors.Is(t.Err, sample.ErrNaN):
		m.corrupted.WithLabelValues(o.model).Inc()
	default:
		m.rejected.WithLabelValues(o.model, asAPI(t.Err).code).Inc()
	}
}
