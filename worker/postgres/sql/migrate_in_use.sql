-- Did anybody but migrations leave a trace in the audit log?
SELECT EXISTS (SELECT FROM audit_log WHERE action <> 'migrate')
