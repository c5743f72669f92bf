// Takes the place of the file of the same name in KServe's fixture while its suite is compiled (go build -overlay): the API
// server is set up as there, but in place of the Go controller a program is started that is named by an environment variable.
// What the suite's specs call from this package has the signature that they expect.

package fixture

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/kserve/kserve/pkg/constants"
	pkgtest "github.com/kserve/kserve/pkg/testing"
)

// SetupTestEnv returns a client of an API server on which the program reconciles and serves the webhooks.
func SetupTestEnv(ctx context.Context) *pkgtest.Client {
	patience, err := time.ParseDuration(os.Getenv("SUITE_PATIENCE"))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	gomega.SetDefaultEventuallyTimeout(patience)
	gomega.SetDefaultEventuallyPollingInterval(250 * time.Millisecond)
	gomega.EnforceDefaultTimeoutsWhenUsingContexts()

	hooks := pkgtest.WithWebhookManifests(filepath.Join(pkgtest.ProjectRoot(), "test", "webhooks"))
	options := append([]pkgtest.Option{hooks}, additionalEnvTestOptions()...)
	client := pkgtest.NewEnvTest(options...).Start(context.Background()) //nolint:contextcheck
	start(client)
	RequiredResources(ctx, client.Client, constants.KServeNamespace)
	return client
}

func start(client *pkgtest.Client) {
	folder := os.Getenv("SUITE_FOLDER")
	kubeconfig := filepath.Join(folder, "kubeconfig")
	gomega.Expect(os.WriteFile(kubeconfig, client.KubeConfig, 0o600)).To(gomega.Succeed())
	log, err := os.Create(filepath.Join(folder, "controller.log"))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	webhook := client.WebhookInstallOptions
	command := exec.Command(os.Getenv("SUITE_CONTROLLER"), "run") //nolint:gosec
	command.Env = append(os.Environ(),
		"KUBECONFIG="+kubeconfig,
		"AIOCTL_WEBHOOK_HOST="+webhook.LocalServingHost,
		fmt.Sprintf("AIOCTL_WEBHOOK_PORT=%d", webhook.LocalServingPort),
		"AIOCTL_CERT_DIR="+webhook.LocalServingCertDir,
	)
	command.Stdout, command.Stderr = log, log
	gomega.Expect(command.Start()).To(gomega.Succeed())
	ginkgo.DeferCleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	address := fmt.Sprintf("%s:%d", webhook.LocalServingHost, webhook.LocalServingPort)
	gomega.Eventually(func() error {
		connection, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec
		if err != nil {
			return err
		}
		return connection.Close()
	}).Should(gomega.Succeed())
}
