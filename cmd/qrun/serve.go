package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/encoder"
	"qpt/runtime/lm"
	"qpt/runtime/serve"
)

// serveOptions are the flags of qrun serve.
type serveOptions struct {
	*options
	models, aliases, hosts, origins []string
	pins                            []string
	host, keys, memory, body, log   string
	port                            int
	noAuth                          bool
	drain                           time.Duration
	opt                             serve.Options
}

func serveCommand(o *options) *cobra.Command {
	s := &serveOptions{options: o}
	c := &cobra.Command{
		Use:   "serve FILE.qpt..",
		Short: "Answer requests over HTTP: the API of OpenAI, Anthropic and Ollama",
		Long: `serve answers requests over HTTP until it is stopped: the API of OpenAI (with
vLLM's further parameters), of Anthropic and of Ollama. Many requests run at
once, and each gets the same bits as alone. Files may be language models and
encoders (embeddings, classes, scores of pairs). A model is called by its file's
name without .qpt; --alias gives it more names.
It listens on 127.0.0.1. Elsewhere it wants a file of API keys, a line each, or
--no-auth. After SIGTERM it takes no more requests and ends when those that run
have ended, or after --drain.`,
		Example: `  qrun serve m.qpt
  qrun serve a.qpt b.qpt --alias gpt-4o-mini=a --port 8080
  qrun serve m.qpt --host 0.0.0.0 --api-key-file keys.txt`,
		RunE: func(c *cobra.Command, args []string) error { return s.run(c.Context(), args) },
	}
	f := c.Flags()
	f.StringArrayVarP(&s.models, "model", "m", nil, ".qpt `FILE`, also as an argument (repeatable)")
	f.StringArrayVar(&s.aliases, "alias", nil, "another name of a model, a `NAME=MODEL` (repeatable)")
	f.BoolVar(&s.opt.FirstUse, "lazy", false, "load a model when it is first asked for, not at the start")
	f.StringVar(&s.host, "host", "127.0.0.1", "address to listen on")
	f.IntVar(&s.port, "port", 8000, "port to listen on (0: any that is free)")
	f.StringVar(&s.keys, "api-key-file", "", "`FILE` of API keys, a line each; # begins a comment")
	f.BoolVar(&s.noAuth, "no-auth", false, "listen elsewhere than on loopback without API keys")
	f.StringArrayVar(&s.hosts, "allow-host", nil, "further `NAME` by which a server on loopback may be called (repeatable)")
	f.StringArrayVar(&s.origins, "cors-origin", nil, "`ORIGIN` of web pages that may call, * for any (repeatable)")
	f.StringVar(&s.memory, "kv-memory", "", "`SIZE` of all keys and values, kept prefixes among them (default a quarter of the free memory)")
	f.IntVar(&s.opt.Sched.Texts, "max-running", 64, "texts that run at once at most")
	f.IntVar(&s.opt.Sched.Queue, "max-waiting", 256, "texts that wait at most; more are refused (429)")
	f.DurationVar(&s.opt.Sched.TargetGap, "target-gap", 100*time.Millisecond, "between two tokens of a text while prompts are read")
	f.BoolVar(&s.opt.Sched.NoCache, "no-prefix-cache", false, "keep no beginnings of texts for others that begin alike")
	f.StringArrayVar(&s.pins, "pin", nil, "`FILE` with a system prompt whose conversations' beginning is read at the start and kept (repeatable)")
	f.StringVar(&s.opt.PinDir, "pin-dir", "", "`FOLDER` in which what --pin has read is kept over restarts")
	f.StringVar(&s.body, "max-body", "32MiB", "`SIZE` of a request at most")
	f.DurationVar(&s.opt.WriteTimeout, "write-timeout", 30*time.Second, "how long a client may leave unread what is sent to it")
	f.DurationVar(&s.drain, "drain", 30*time.Second, "how long running texts may take after SIGTERM")
	f.StringVar(&s.opt.ToolParser, "tool-call-parser", "", "how models write calls of tools, by vLLM's `NAME`s (default: as the chat template's family does)")
	f.StringVar(&s.opt.ReasoningParser, "reasoning-parser", "", "how models write what they think, by vLLM's `NAME`s (default: as the chat template's family does)")
	f.StringVar(&s.opt.Metrics, "metrics-prefix", "qpt", "of the names in /metrics; vllm for dashboards and scalers made for it")
	f.StringVar(&s.log, "log", "text", "a line a request on stderr: text, json, or none")
	cli.CompleteFiles(c, "model", "qpt")
	cli.CompleteFiles(c, "", "qpt")
	cli.CompleteFiles(c, "pin", "txt")
	cli.CompleteWords(c, "log", "text", "json", "none")
	return c
}

func (o *serveOptions) run(ctx context.Context, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(o.host, strconv.Itoa(o.port)))
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	defer l.Close()
	models, err := o.list()
	if err != nil {
		return err
	}
	s, err := serve.New(models, o.opt)
	if err != nil {
		return err
	}
	return o.serve(ctx, l, s)
}

// serve answers until ctx ends, then lets running requests end. Models are loaded while /health answers already.
func (o *serveOptions) serve(ctx context.Context, l net.Listener, s *serve.Server) error {
	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(o.opt.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 2)
	go func() { failed <- h.Serve(l) }()
	go func() {
		if !o.opt.FirstUse {
			if err := s.Load(); err != nil {
				failed <- err
				return
			}
		}
		ui.Note("qrun", "serving on http://%s", l.Addr())
	}()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.drain)
	defer cancel()
	s.Close(limit)
	if e := h.Shutdown(limit); errors.Is(e, context.DeadlineExceeded) {
		h.Close()
	}
	return err
}

// check reads the flags, before any work.
func (o *serveOptions) check(args []string) (err error) {
	o.models = append(args, o.models...)
	usage := func(format string, a ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{cli.ErrUsage}, a...)...)
	}
	switch {
	case len(o.models) == 0:
		return usage("which .qpt files? give them as arguments or with --model")
	case o.port < 0 || o.port > 65535:
		return usage("--port %d: must be 0 to 65535", o.port)
	case o.opt.Sched.Texts < 1 || o.opt.Sched.Queue < 1 || o.opt.Sched.TargetGap <= 0 || o.drain < 0 || o.opt.WriteTimeout <= 0:
		return usage("--max-running, --max-waiting, --target-gap and --write-timeout must be more than nothing, --drain not less")
	}
	if o.opt.MaxBody, err = cli.ParseSize(o.body); err != nil {
		return usage("--max-body: %w", err)
	}
	if err := o.setMemory(); err != nil {
		return err
	}
	switch o.log {
	case "text":
		o.opt.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	case "json":
		o.opt.Log = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	case "none":
		o.opt.Log = slog.New(slog.DiscardHandler)
	default:
		return usage("--log %s: must be text, json or none", o.log)
	}
	o.opt.Version, o.opt.Origins = cli.Version(), o.origins
	if o.keys != "" {
		if o.opt.Keys, err = readKeys(o.keys); err != nil {
			return err
		}
	}
	for _, path := range o.pins {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("--pin: %w", err)
		}
		o.opt.Pinned = append(o.opt.Pinned, strings.TrimRight(string(text), "\r\n"))
	}
	switch {
	case o.loopback():
		o.opt.Hosts = append([]string{"localhost", "127.0.0.1", "::1", o.host}, o.hosts...)
	case o.keys == "" && !o.noAuth:
		return usage("--host %s lets others in: give --api-key-file, or --no-auth if whoever comes may use the model", o.host)
	default:
		o.opt.Hosts = o.hosts
	}
	return nil
}

// setMemory bounds the keys and values of each model.
func (o *serveOptions) setMemory() (err error) {
	if o.memory != "" {
		if o.options.load.KVMemory, err = cli.ParseSize(o.memory); err != nil {
			return fmt.Errorf("%w: --kv-memory: %w", cli.ErrUsage, err)
		}
	} else if free := ui.FreeMemory(); free > 0 {
		o.options.load.KVMemory = free / 4 / int64(len(o.models))
	}
	return nil
}

// loopback tells whether only this machine can connect.
func (o *serveOptions) loopback() bool {
	ip := net.ParseIP(o.host)
	return o.host == "localhost" || ip != nil && ip.IsLoopback()
}

// readKeys reads a file of API keys.
func readKeys(path string) (keys []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--api-key-file: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: --api-key-file %s holds no keys", errInput, path)
	}
	return keys, nil
}

// list are the models with their names, not loaded yet.
func (o *serveOptions) list() (models []serve.Model, err error) {
	opt, err := o.settings()
	if err != nil {
		return nil, err
	}
	for _, path := range o.models {
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(path), ".qpt")
		models = append(models, serve.Model{Name: name, Open: func() (*lm.Model, *encoder.Model, error) { return openModel(name, path, opt) }})
	}
	for _, a := range o.aliases {
		name, target, ok := strings.Cut(a, "=")
		found := false
		for i := range models {
			if m := &models[i]; ok && name != "" && (m.Name == target || o.models[i] == target) && !found {
				m.Aliases, found = append(m.Aliases, name), true
			}
		}
		if !found {
			return models, fmt.Errorf("%w: --alias %s: want NAME=MODEL, a model by its file or name", cli.ErrUsage, a)
		}
	}
	return models, nil
}

// openModel loads a language model or an encoder.
func openModel(name, path string, opt runtime.Options) (l *lm.Model, e *encoder.Model, err error) {
	r, err := runtime.Load(path, opt)
	if err != nil {
		return nil, nil, err
	}
	if r.Program().Whole() {
		if e, err = encoder.New(r); err == nil {
			ui.Note("qrun", "%s: an encoder of texts, %d tokens at most", name, e.Meta.Model.Context)
		}
	} else if l, err = lm.New(r, opt.Context); err == nil {
		ui.Note("qrun", "%s: context %d, %s of %s keys and values", name, l.Context(), ui.Size(l.KVMemory()), l.KV())
	}
	if err != nil {
		r.Close()
	}
	return l, e, err
}
