package remote

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/retry"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	defaultUser           = "root"
	defaultPort           = 22
	defaultDialErrorLimit = 10
	defaultPerDialTimeout = 15 // seconds
)

// Connection says how to reach the host that a resource lives on.
type Connection struct {
	Endpoint
	Proxy *Proxy `pulumi:"proxy,optional"`
}

// Proxy is a host through which the connection goes.
type Proxy struct{ Endpoint }

// Endpoint is one SSH server and the ways to log in there. Without HostKey any server is believed. What @pulumi/command
// marks as secret here stays a secret of its own inside the secret connection: the state shows the difference.
type Endpoint struct {
	User               *string  `pulumi:"user,optional"`
	Password           *string  `pulumi:"password,optional" provider:"secret"`
	Host               *string  `pulumi:"host"`
	Port               *float64 `pulumi:"port,optional"`
	PrivateKey         *string  `pulumi:"privateKey,optional" provider:"secret"`
	HostKey            *string  `pulumi:"hostKey,optional"`
	PrivateKeyPassword *string  `pulumi:"privateKeyPassword,optional" provider:"secret"`
	AgentSocketPath    *string  `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int     `pulumi:"dialErrorLimit,optional"`
	PerDialTimeout     *int     `pulumi:"perDialTimeout,optional"`
}

// Annotate sets the defaults.
func (c *Connection) Annotate(a infer.Annotator) { c.annotate(a) }

// Annotate sets the defaults.
func (c *Proxy) Annotate(a infer.Annotator) { c.annotate(a) }

func (e *Endpoint) annotate(a infer.Annotator) {
	a.SetDefault(&e.User, defaultUser)
	a.SetDefault(&e.Port, defaultPort)
	a.SetDefault(&e.DialErrorLimit, defaultDialErrorLimit)
	a.SetDefault(&e.PerDialTimeout, defaultPerDialTimeout)
}

// Dial opens the connection, through the proxy if there is one, as often as the limits allow. ctx ends the waiting.
func (c *Connection) Dial(ctx context.Context) (*ssh.Client, error) {
	config, err := c.clientConfig()
	if err != nil {
		return nil, err
	}
	if c.Proxy == nil {
		return retryDial(ctx, "Dial", c.limit(), func() (*ssh.Client, error) {
			return dial(ctx, &net.Dialer{Timeout: config.Timeout}, c.address(), config)
		})
	}

	proxyConfig, err := c.Proxy.clientConfig()
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	proxy, err := retryDial(ctx, "Dial proxy", c.Proxy.limit(), func() (*ssh.Client, error) {
		return dial(ctx, &net.Dialer{Timeout: proxyConfig.Timeout}, c.Proxy.address(), proxyConfig)
	})
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	client, err := retryDial(ctx, "Dial from proxy", c.limit(), func() (*ssh.Client, error) {
		return dial(ctx, proxy, c.address(), config)
	})
	if err != nil {
		_ = proxy.Close()
		return nil, fmt.Errorf("proxy: %w", err)
	}
	go func() { // the proxy is needed as long as the connection that goes through it
		_ = client.Wait()
		_ = proxy.Close()
	}()
	return client, nil
}

func (e *Endpoint) address() string {
	port := defaultPort
	if e.Port != nil {
		port = int(*e.Port)
	}
	return net.JoinHostPort(*e.Host, strconv.Itoa(port))
}

// limit is how many dials may fail before giving up; -1 means any number.
func (e *Endpoint) limit() int {
	if e.DialErrorLimit == nil {
		return defaultDialErrorLimit
	}
	return *e.DialErrorLimit
}

func (e *Endpoint) clientConfig() (*ssh.ClientConfig, error) {
	config := &ssh.ClientConfig{
		User:            defaultUser,
		Timeout:         defaultPerDialTimeout * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // what @pulumi/command does without hostKey
	}
	if e.User != nil {
		config.User = *e.User
	}
	if e.PerDialTimeout != nil {
		config.Timeout = time.Duration(*e.PerDialTimeout) * time.Second
	}
	if e.HostKey != nil {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*e.HostKey))
		if err != nil {
			return nil, fmt.Errorf("failed to parse host key: %w", err)
		}
		config.HostKeyCallback = ssh.FixedHostKey(key)
		// A server has keys of several kinds: ask for the one that is known.
		config.HostKeyAlgorithms = algorithms(key)
	}
	auth, err := e.auth()
	config.Auth = auth
	return config, err
}

func algorithms(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return []string{key.Type()}
}

// auth lists the ways to log in: the private key, the password, the agent, in this order.
func (e *Endpoint) auth() ([]ssh.AuthMethod, error) {
	var methods []ssh.AuthMethod
	if e.PrivateKey != nil {
		parse := func() (ssh.Signer, error) { return ssh.ParsePrivateKey([]byte(*e.PrivateKey)) }
		if e.PrivateKeyPassword != nil {
			parse = func() (ssh.Signer, error) {
				return ssh.ParsePrivateKeyWithPassphrase([]byte(*e.PrivateKey), []byte(*e.PrivateKeyPassword))
			}
		}
		signer, err := parse()
		if err != nil {
			return nil, err
		}
		methods = append(methods, ssh.PublicKeys(signer))
	}
	if e.Password != nil {
		answer := func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = *e.Password
			}
			return answers, nil
		}
		methods = append(methods, ssh.Password(*e.Password), ssh.KeyboardInteractive(answer))
	}
	socket := os.Getenv("SSH_AUTH_SOCK")
	if e.AgentSocketPath != nil {
		socket = *e.AgentSocketPath
	}
	if socket != "" {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			methods = append(methods, ssh.PublicKeysCallback(agent.NewClient(conn).Signers))
		} else if e.AgentSocketPath != nil || len(methods) == 0 {
			return nil, err
		}
		// SSH_AUTH_SOCK outlives its agent in many shells. @pulumi/command 1.2.1 would fail there although it has a key; a
		// login that works needs no agent.
	}
	return methods, nil
}

type dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

func dial(ctx context.Context, d dialer, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}

// retryDial repeats f, with growing pauses, until it succeeds, has failed more than limit times, or ctx ends.
func retryDial[T any](ctx context.Context, what string, limit int, f func() (T, error)) (T, error) {
	var result T
	ok, _, err := retry.Until(ctx, retry.Acceptor{
		Accept: func(try int, _ time.Duration) (bool, any, error) {
			var err error
			if result, err = f(); err == nil {
				return true, nil, nil
			}
			failed := try + 1
			if limit >= 0 && failed > limit {
				return true, nil, fmt.Errorf("after %d failed attempts: %w", try, err)
			}
			of := "inf"
			if limit >= 0 {
				of = strconv.Itoa(limit)
			}
			p.GetLogger(ctx).InfoStatusf("%s %d/%s failed: retrying", what, failed, of)
			return false, nil, nil
		},
	})
	if err == nil && !ok {
		err = ctx.Err()
	}
	return result, err
}
