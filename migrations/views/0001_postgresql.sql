CREATE VIEW report_studies_v1 AS
SELECT storage_areas.name AS area, studies.study_instance_uid, patients.patient_id, coalesce(patients.patient_name_alphabetic, patients.patient_name_ideographic, patients.patient_name_phonetic) AS patient_name, studies.study_date, studies.accession_number, studies.study_description, studies.modalities_in_study, study_usage.number_of_series, study_usage.number_of_instances, study_usage.size_bytes, studies.created_at AS first_stored_at, study_usage.last_stored_at, study_usage.is_pinned
FROM studies JOIN study_usage ON study_usage.study_pk = studies.pk JOIN patients ON patients.pk = studies.patient_pk JOIN storage_areas ON studies.area_pk = storage_areas.pk;

CREATE VIEW report_storage_v1 AS
SELECT storage_areas.name AS area, coalesce(held.number_of_studies, 0) AS number_of_studies, coalesce(held.number_of_series, 0) AS number_of_series, coalesce(held.number_of_instances, 0) AS number_of_instances, coalesce(held.size_bytes, 0) AS size_bytes, storage_areas.max_studies, storage_areas.max_study_bytes, storage_areas.max_bytes, storage_areas.max_age_days, storage_areas.min_free_bytes, storage_areas.on_full, storage_areas.max_studies - coalesce(held.number_of_studies, 0) AS headroom_studies, storage_areas.max_bytes - coalesce(held.size_bytes, 0) AS headroom_bytes, round(CAST(100 * coalesce(held.size_bytes, 0) AS NUMERIC) / CAST(storage_areas.max_bytes AS NUMERIC), 1) AS used_percent, coalesce(waiting.files, 0) AS files_to_unlink, coalesce(waiting.size_bytes, 0) AS bytes_to_unlink
FROM storage_areas LEFT OUTER JOIN (SELECT area_usage.area_pk AS area_pk, CAST(coalesce(sum(area_usage.number_of_studies), 0) AS BIGINT) AS number_of_studies, CAST(coalesce(sum(area_usage.number_of_series), 0) AS BIGINT) AS number_of_series, CAST(coalesce(sum(area_usage.number_of_instances), 0) AS BIGINT) AS number_of_instances, CAST(coalesce(sum(area_usage.size_bytes), 0) AS BIGINT) AS size_bytes
FROM area_usage GROUP BY area_usage.area_pk) AS held ON held.area_pk = storage_areas.pk LEFT OUTER JOIN (SELECT deletions.area_pk AS area_pk, count(*) AS files, CAST(coalesce(sum(deletions.size_bytes), 0) AS BIGINT) AS size_bytes
FROM deletions GROUP BY deletions.area_pk) AS waiting ON waiting.area_pk = storage_areas.pk;

CREATE VIEW report_received_v1 AS
SELECT received_by_day.day, received_by_day.area, nullif(received_by_day.modality, '') AS modality, received_by_day.source_ae_title, received_by_day.number_of_instances, received_by_day.size_bytes
FROM received_by_day;

CREATE VIEW report_peers_v1 AS
SELECT peers.name AS peer, peers.ae_title, peers.host, peers.port, min(associations.began_at) AS first_contact_at, max(associations.began_at) AS last_contact_at, max(CASE WHEN ((associations.outcome NOT IN ('rejected', 'closed'))) THEN associations.began_at END) AS last_accepted_at, CAST(coalesce(sum(CASE WHEN ((associations.outcome NOT IN ('rejected', 'closed'))) THEN associations.number_of_requests ELSE 0 END), 0) AS BIGINT) AS number_of_associations, CAST(coalesce(sum(CASE WHEN (associations.outcome IN ('rejected', 'closed')) THEN associations.number_of_requests ELSE 0 END), 0) AS BIGINT) AS number_of_refusals, CAST(coalesce(sum(associations.received_bytes), 0) AS BIGINT) AS received_bytes, CAST(coalesce(sum(associations.sent_bytes), 0) AS BIGINT) AS sent_bytes
FROM peers LEFT OUTER JOIN associations ON associations.calling_ae_title = peers.ae_title GROUP BY peers.pk, peers.name, peers.ae_title, peers.host, peers.port UNION ALL SELECT CAST(NULL AS TEXT) AS peer, associations.calling_ae_title AS ae_title, associations.peer_host AS host, CAST(NULL AS INTEGER) AS port, min(associations.began_at) AS first_contact_at, max(associations.began_at) AS last_contact_at, max(CASE WHEN ((associations.outcome NOT IN ('rejected', 'closed'))) THEN associations.began_at END) AS last_accepted_at, CAST(coalesce(sum(CASE WHEN ((associations.outcome NOT IN ('rejected', 'closed'))) THEN associations.number_of_requests ELSE 0 END), 0) AS BIGINT) AS number_of_associations, CAST(coalesce(sum(CASE WHEN (associations.outcome IN ('rejected', 'closed')) THEN associations.number_of_requests ELSE 0 END), 0) AS BIGINT) AS number_of_refusals, CAST(coalesce(sum(associations.received_bytes), 0) AS BIGINT) AS received_bytes, CAST(coalesce(sum(associations.sent_bytes), 0) AS BIGINT) AS sent_bytes
FROM associations
WHERE associations.calling_ae_title != '' AND (associations.calling_ae_title NOT IN (SELECT peers.ae_title
FROM peers)) GROUP BY associations.calling_ae_title, associations.peer_host;

CREATE VIEW report_associations_v1 AS
SELECT associations.began_at, associations.ended_at, round(CAST(extract(epoch FROM associations.ended_at - associations.began_at) AS NUMERIC), 3) AS duration_seconds, associations.calling_ae_title, associations.called_ae_title, associations.peer_host, associations.area, associations.outcome, associations.rejection, associations.refused_operations, associations.refused_because, associations.reason, associations.number_of_requests, associations.contexts_accepted, associations.contexts_refused, associations.number_of_operations, associations.received_bytes, associations.sent_bytes, associations.implementation_version_name, associations.node, associations.worker, associations.pk AS association_pk
FROM associations;

CREATE VIEW report_access_v1 AS
SELECT associations.began_at AS at, associations.calling_ae_title, associations.called_ae_title, associations.peer_host, associations.area, 'association' AS event, CAST(NULL AS TEXT) AS detail, associations.outcome AS outcome, associations.rejection AS status, associations.outcome IN ('rejected', 'closed') AS is_refused, associations.number_of_requests AS number, associations.received_bytes + associations.sent_bytes AS size_bytes, round(CAST(extract(epoch FROM associations.ended_at - associations.began_at) AS NUMERIC), 3) AS duration_seconds, associations.reason, associations.pk AS association_pk
FROM associations UNION ALL SELECT associations.began_at, associations.calling_ae_title, associations.called_ae_title, associations.peer_host, associations.area, 'contexts' AS anon_1, associations.refused_operations, 'refused' AS anon_2, CAST(NULL AS TEXT) AS anon_3, true AS anon_4, CAST(1 AS BIGINT) AS anon_5, CAST(NULL AS BIGINT) AS anon__1, CAST(NULL AS NUMERIC) AS anon__2, associations.refused_because, associations.pk
FROM associations
WHERE associations.refused_operations IS NOT NULL UNION ALL SELECT operations.began_at, associations.calling_ae_title, associations.called_ae_title, associations.peer_host, associations.area, operations.operation, nullif(coalesce(operations.level, '') || coalesce(' to ' || operations.move_destination, ''), '') AS nullif_1, CASE WHEN (operations.status IS NULL) THEN 'unanswered' WHEN (operations.status = '0000') THEN 'success' WHEN (operations.status = 'FE00') THEN 'cancelled' WHEN (operations.status IS NOT NULL AND (operations.status NOT IN ('0000', 'FE00', '0001', '0107', '0116')) AND substr(operations.status, 1, 1) != 'B' AND substr(operations.status, 1, 2) != 'FF') THEN 'refused' ELSE 'warning' END AS anon_6, operations.status, operations.status IS NOT NULL AND (operations.status NOT IN ('0000', 'FE00', '0001', '0107', '0116')) AND substr(operations.status, 1, 1) != 'B' AND substr(operations.status, 1, 2) != 'FF' AS anon_7, operations.number_of_requests, operations.size_bytes, operations.duration_seconds, operations.error_comment, operations.association_pk
FROM operations JOIN associations ON associations.pk = operations.association_pk;

CREATE VIEW report_refusals_v1 AS
SELECT report_access_v1.at, report_access_v1.calling_ae_title, report_access_v1.called_ae_title, report_access_v1.peer_host, report_access_v1.area, report_access_v1.event, report_access_v1.detail, report_access_v1.outcome, report_access_v1.status, report_access_v1.number, report_access_v1.reason, report_access_v1.association_pk
FROM report_access_v1
WHERE report_access_v1.is_refused = true;

CREATE VIEW report_evictions_v1 AS
SELECT evictions.evicted_at, storage_areas.name AS area, evictions.study_instance_uid, evictions.patient_id, evictions.is_whole_study, evictions.number_of_instances, evictions.size_bytes, evictions.reason, evictions.caused_by_sop_instance_uid
FROM evictions JOIN storage_areas ON evictions.area_pk = storage_areas.pk;

CREATE VIEW report_disagreements_v1 AS
SELECT storage_areas.name AS area, disagreements.level, disagreements.study_instance_uid, nullif(disagreements.series_instance_uid, '') AS series_instance_uid, disagreements.keyword, disagreements.held, disagreements.received, disagreements.sop_instance_uid, disagreements.number_of_instances, disagreements.first_at, disagreements.last_at
FROM disagreements JOIN storage_areas ON disagreements.area_pk = storage_areas.pk;

CREATE VIEW report_duplicates_v1 AS
SELECT CAST(operations.began_at AT TIME ZONE 'UTC' AS DATE) AS day, associations.area, associations.calling_ae_title, CAST(coalesce(sum(operations.number_of_requests), 0) AS BIGINT) AS number_of_stores, CAST(coalesce(sum(operations.number_replaced), 0) AS BIGINT) AS number_replaced, CAST(coalesce(sum(operations.number_kept), 0) AS BIGINT) AS number_kept, CAST(coalesce(sum(CASE WHEN (operations.status = '0111') THEN operations.number_of_requests ELSE 0 END), 0) AS BIGINT) AS number_rejected
FROM operations JOIN associations ON associations.pk = operations.association_pk
WHERE operations.operation = 'C-STORE' GROUP BY CAST(operations.began_at AT TIME ZONE 'UTC' AS DATE), associations.area, associations.calling_ae_title
HAVING CAST(coalesce(sum(operations.number_replaced), 0) AS BIGINT) + CAST(coalesce(sum(operations.number_kept), 0) AS BIGINT) + CAST(coalesce(sum(CASE WHEN (operations.status = '0111') THEN operations.number_of_requests ELSE 0 END), 0) AS BIGINT) > 0;

CREATE VIEW report_slow_operations_v1 AS
SELECT operations.began_at, associations.calling_ae_title, associations.called_ae_title, associations.area, operations.operation, operations.information_model, operations.level, operations.move_destination, operations.status, operations.number_of_requests, operations.number_of_matches, operations.sub_operations_completed, operations.size_bytes, operations.duration_seconds, operations.longest_seconds, CASE WHEN (operations.size_bytes > 0 AND operations.duration_seconds > 0) THEN CAST(operations.size_bytes / CAST(operations.duration_seconds AS NUMERIC) AS BIGINT) END AS bytes_per_second, operations.association_pk
FROM operations JOIN associations ON associations.pk = operations.association_pk
WHERE operations.longest_seconds >= 1;
